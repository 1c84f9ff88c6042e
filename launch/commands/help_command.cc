// lockstep help [recipe [MESSAGE]]: the recipe's fields with their comments, from the schema that is compiled in.
#include "launch/commands/commands.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lockstep::launch {

/// The schema of recipes with its comments, as protoc describes it (a FileDescriptorSet).
extern const std::string_view kRecipeSchema;
/// That of a site's defaults.
extern const std::string_view kSiteSchema;

namespace {

namespace pb = google::protobuf;

/// The comment above a field, a message or an enum value; lines are indented by `indent`.
template <typename Descriptor>
std::string Comment(const Descriptor& descriptor, const std::string& indent) {
  pb::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  std::string text;
  std::istringstream lines(location.leading_comments);
  for (std::string line; std::getline(lines, line);) text += fmt::format("{}#{}\n", indent, line);
  return text;
}

std::string TypeName(const pb::FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return "{ ... }";
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return "\"text\"";
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return "number";
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      std::string names;
      for (int i = 0; i < field.enum_type()->value_count(); ++i)
        names += (i > 0 ? " | " : "") + field.enum_type()->value(i)->name();
      return names;
    }
    default:
      return "integer";
  }
}

/// Prints `message` and what it holds. A message is printed once; `seen` are those above it, so that recursion ends.
void Print(const pb::Descriptor& message, const std::string& indent, std::set<std::string>& seen) {
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    std::fputs(Comment(field, indent).c_str(), stdout);
    const char* repeated = field.is_repeated() ? "  # may be given again" : "";
    if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      std::printf("%s%s: %s%s\n", indent.c_str(), field.name().c_str(), TypeName(field).c_str(), repeated);
      if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_ENUM)
        for (int v = 0; v < field.enum_type()->value_count(); ++v) {
          const std::string comment = Comment(*field.enum_type()->value(v), indent + "    ");
          if (!comment.empty())
            std::printf("%s  %s:\n%s", indent.c_str(), field.enum_type()->value(v)->name().c_str(), comment.c_str());
        }
      continue;
    }
    const pb::Descriptor& type = *field.message_type();
    if (!seen.insert(type.full_name()).second) {
      std::printf("%s%s { ... }%s  # as above\n", indent.c_str(), field.name().c_str(), repeated);
      continue;
    }
    std::printf("%s%s {%s\n", indent.c_str(), field.name().c_str(), repeated);
    Print(type, indent + "  ", seen);
    std::printf("%s}\n", indent.c_str());
  }
}

/// Prints message `root` of `bytes`, or the part of it that `field_path` leads to; `what` it is, in words.
int HelpSchema(std::string_view bytes, const char* root, const char* what, const std::string& field_path) {
  pb::FileDescriptorSet schema;
  CHECK(schema.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  pb::DescriptorPool pool;
  for (const pb::FileDescriptorProto& file : schema.file()) CHECK(pool.BuildFile(file) != nullptr, "{}", file.name());
  const pb::Descriptor* message = pool.FindMessageTypeByName(root);
  CHECK(message != nullptr);
  std::istringstream path(field_path);
  for (std::string name; std::getline(path, name, '.');) {
    const pb::FieldDescriptor* field = message->FindFieldByName(name);
    if (field == nullptr || field->message_type() == nullptr)
      throw Error(ErrorKind::kUsage, fmt::format("there is no part \"{}\" of a {}", name, what),
                  fmt::format("lockstep help {} {}", what, field_path),
                  "for example lockstep help recipe train, or data.train");
    message = field->message_type();
  }
  std::set<std::string> seen;
  Print(*message, "", seen);
  return 0;
}

int HelpCommand(const CLI::App& app, const std::string& topic) {
  const CLI::App* command = topic.empty() ? &app : nullptr;
  for (const CLI::App* candidate : app.get_subcommands([](const CLI::App*) { return true; }))
    if (candidate->get_name() == topic) command = candidate;
  if (command == nullptr)
    throw Error(ErrorKind::kUsage, fmt::format("there is no command \"{}\"", topic), "", "lockstep help lists them");
  // The formatter is asked because App::help would answer for the subcommand that is running, which is this one.
  std::printf("%s",
              app.get_formatter()
                  ->make_help(command, "lockstep" + (topic.empty() ? "" : " " + topic), CLI::AppFormatMode::Normal)
                  .c_str());
  return 0;
}

}  // namespace

void AddHelpCommand(CLI::App& app, int* exit_code) {
  CLI::App* help = app.add_subcommand("help", "Explain a command, the fields of a recipe, or a site's defaults");
  struct Options {
    std::string topic, field;
  };
  auto options = std::make_shared<Options>();
  help->add_option("TOPIC", options->topic, "A command, recipe, or site");
  help->add_option("PART", options->field, "A part of the recipe, e.g. train or data.train.csv");
  help->footer("Examples:\n  lockstep help recipe\n  lockstep help recipe optimizer\n  lockstep help train");
  help->callback([&app, options, exit_code] {
    if (options->topic == "recipe")
      *exit_code = HelpSchema(kRecipeSchema, "lockstep.Recipe", "recipe", options->field);
    else if (options->topic == "site")
      *exit_code = HelpSchema(kSiteSchema, "lockstep.launch.Site", "site", options->field);
    else
      *exit_code = HelpCommand(app, options->topic);
  });
}

}  // namespace lockstep::launch

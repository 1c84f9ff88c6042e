#include "launch/command_line/schema_help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "launch/recipe/recipe_fields.h"
#include "launch/recipe/suggestions.h"

namespace lockstep::launch {

/// The schema of recipes with its comments, as protoc describes it (a FileDescriptorSet).
extern const std::string_view kRecipeSchema;
/// That of a site's defaults.
extern const std::string_view kSiteSchema;

namespace {

namespace pb = google::protobuf;

/// Message `root` of the schema in `bytes`. Its pool lives as long as the program.
const pb::Descriptor& ReadSchema(std::string_view bytes, const char* root) {
  pb::FileDescriptorSet schema;
  CHECK(schema.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  auto* pool = new pb::DescriptorPool;
  for (const pb::FileDescriptorProto& file : schema.file()) CHECK(pool->BuildFile(file) != nullptr, "{}", file.name());
  const pb::Descriptor* message = pool->FindMessageTypeByName(root);
  CHECK(message != nullptr);
  return *message;
}

const pb::Descriptor& RecipeSchema() {
  static const pb::Descriptor& schema = ReadSchema(kRecipeSchema, "lockstep.Recipe");
  return schema;
}

const pb::Descriptor& SiteSchema() {
  static const pb::Descriptor& schema = ReadSchema(kSiteSchema, "lockstep.launch.Site");
  return schema;
}

/// The comment above a field, a message or an enum value, each line behind `prefix`.
template <typename Descriptor>
std::string Comment(const Descriptor& descriptor, const std::string& prefix) {
  pb::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  std::string text;
  std::istringstream lines(location.leading_comments);
  for (std::string line; std::getline(lines, line);) text += fmt::format("{}{}\n", prefix, line);
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
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return fmt::format("{}", fmt::join(ValuesOf(*field.enum_type()), " | "));
    default:
      return "integer";
  }
}

bool IsMessage(const pb::FieldDescriptor& field) { return field.message_type() != nullptr; }

const char* Repeated(const pb::FieldDescriptor& field) { return field.is_repeated() ? "  # may be given again" : ""; }

/// A field that holds no message, under `name`, and what the values of its enum mean.
std::string PlainField(const pb::FieldDescriptor& field, const std::string& name, const std::string& indent) {
  std::string text = fmt::format("{}{}: {}{}\n", indent, name, TypeName(field), Repeated(field));
  for (int v = 0; field.enum_type() != nullptr && v < field.enum_type()->value_count(); ++v) {
    const std::string comment = Comment(*field.enum_type()->value(v), indent + "    #");
    if (!comment.empty()) text += fmt::format("{}  {}:\n{}", indent, field.enum_type()->value(v)->name(), comment);
  }
  return text;
}

/// `message` and what it holds. A message is printed once; `seen` are those above it, so that recursion ends.
std::string Fields(const pb::Descriptor& message, const std::string& indent, std::set<std::string>& seen) {
  std::string text;
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    text += Comment(field, indent + "#");
    if (!IsMessage(field)) {
      text += PlainField(field, field.name(), indent);
    } else if (!seen.insert(field.message_type()->full_name()).second) {
      text += fmt::format("{}{} {{ ... }}{}  # as above\n", indent, field.name(), Repeated(field));
    } else {
      text += fmt::format("{}{} {{{}\n", indent, field.name(), Repeated(field));
      text += Fields(*field.message_type(), indent + "  ", seen) + indent + "}\n";
    }
  }
  return text;
}

std::string Fields(const pb::Descriptor& message) {
  std::set<std::string> seen;
  return Fields(message, "", seen);
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// "OneCycle", "one-cycle" and "one_cycle" are the same name.
std::string Plain(const std::string& name) {
  std::string plain = Lower(name);
  std::erase_if(plain, [](char c) { return c == '_' || c == '-'; });
  return plain;
}

bool EndsIn(const std::string& path, const std::string& name) { return path == name || path.ends_with("." + name); }

/// The fields that `name` names: the one at this path, else those whose path ends so or whose message is called so; of
/// a field that has several paths, the first.
std::vector<FieldPath> Find(const pb::Descriptor& root, const std::string& name) {
  std::vector<FieldPath> found;
  std::set<const pb::FieldDescriptor*> seen;
  std::set<const pb::Descriptor*> types;
  const std::string plain = Plain(name);
  for (const FieldPath& path : AllFieldPaths(root)) {
    if (path.path == name) return {path};
    const bool named = EndsIn(Plain(path.path), plain);
    const bool typed = IsMessage(*path.field) && Plain(path.field->message_type()->name()) == plain;
    if ((!named && !typed) || !seen.insert(path.field).second) continue;
    if (IsMessage(*path.field) && !types.insert(path.field->message_type()).second) continue;
    found.push_back(path);
  }
  return found;
}

std::string Describe(const FieldPath& path) {
  if (!IsMessage(*path.field)) return Comment(*path.field, "#") + PlainField(*path.field, path.path, "");
  std::set<std::string> seen;
  return fmt::format("{}{} {{{}\n{}}}\n", Comment(*path.field, "#"), path.path, Repeated(*path.field),
                     Fields(*path.field->message_type(), "  ", seen));
}

std::string Part(const pb::Descriptor& root, const std::string& what, const std::string& name) {
  std::vector<FieldPath> found = Find(root, name);
  if (found.empty() && what == "recipe")
    for (const std::string& meant : FieldsNamed(name))
      for (const FieldPath& path : Find(root, meant)) found.push_back(path);
  if (found.empty()) {
    std::vector<std::string> names;
    for (const FieldPath& path : AllFieldPaths(root)) {
      names.push_back(path.path);
      names.push_back(path.field->name());
    }
    const std::string meant = DidYouMean(Nearest(name, names));
    throw Error(ErrorKind::kUsage, fmt::format("there is no part \"{}\" of a {}", name, what),
                fmt::format("lockstep help {} {}", what, name),
                what == "recipe" ? fmt::format("{}{}lockstep help recipe --search WORDS searches in comments", meant,
                                               meant.empty() ? "" : " ")
                                 : meant);
  }
  std::string text;
  for (const FieldPath& path : found) text += (text.empty() ? "" : "\n") + Describe(path);
  return text;
}

constexpr size_t kColumns = 100;

/// Words behind each other, in lines of at most kColumns.
std::string Wrapped(const std::vector<std::string>& words, const std::string& indent) {
  std::string text, line = indent;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i] + (i + 1 < words.size() ? "," : "");
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kColumns) {
      text += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
  }
  return text + line + "\n";
}

/// All that is said of a field, in small letters.
std::string SaidOf(const FieldPath& path) {
  std::string text = path.path + "\n" + Comment(*path.field, "");
  if (IsMessage(*path.field)) text += path.field->message_type()->name() + Comment(*path.field->message_type(), "");
  if (path.field->enum_type() != nullptr) text += PlainField(*path.field, "", "");
  return Lower(text);
}

}  // namespace

std::string RecipeOverview() {
  std::string text = "A recipe is protobuf text: field: value, message { ... }, # begins a comment. It consists of\n\n";
  for (int i = 0; i < RecipeSchema().field_count(); ++i) {
    const pb::FieldDescriptor& part = *RecipeSchema().field(i);
    std::string comment = Comment(part, "");
    std::replace(comment.begin(), comment.end(), '\n', ' ');
    if (comment.size() > kColumns - 13) comment.resize(comment.find(". ") + 2);
    text += fmt::format("{:<12} {}\n", part.name(), comment.substr(1, comment.size() - 2));
    std::vector<std::string> names;
    for (int f = 0; IsMessage(part) && f < part.message_type()->field_count(); ++f)
      names.push_back(part.message_type()->field(f)->name());
    if (!names.empty()) text += Wrapped(names, "               ");
  }
  return text +
         "\nlockstep help recipe train             the fields of a part: meaning, unit, default, range\n"
         "lockstep help recipe csv               of a name in any of them\n"
         "lockstep help recipe --search WORDS    the fields that speak of something\n"
         "lockstep help recipe --all             everything\n"
         "docs/recipes.md is the tutorial, examples/ has whole recipes.\n";
}

std::string WholeRecipe() { return Fields(RecipeSchema()); }
std::string WholeSite() { return Fields(SiteSchema()); }
std::string RecipePart(const std::string& name) { return Part(RecipeSchema(), "recipe", name); }
std::string SitePart(const std::string& name) { return Part(SiteSchema(), "site", name); }

std::string SearchRecipe(const std::vector<std::string>& words) {
  std::string by_name, by_comment;
  std::set<const pb::FieldDescriptor*> seen;
  for (const FieldPath& path : AllFieldPaths(RecipeSchema())) {
    const std::string said = SaidOf(path), name = Lower(path.path);
    const auto has_all = [&](const std::string& text) {
      return std::all_of(words.begin(), words.end(),
                         [&](const std::string& word) { return text.find(Lower(word)) != std::string::npos; });
    };
    if (!has_all(said) || !seen.insert(path.field).second) continue;
    const std::string line = IsMessage(*path.field) ? path.path + " { ... }\n" : PlainField(*path.field, path.path, "");
    (has_all(name) ? by_name : by_comment) += line + Comment(*path.field, "    #");
  }
  if (by_name.empty() && by_comment.empty())
    throw Error(ErrorKind::kUsage, fmt::format("no field of a recipe speaks of {}", fmt::join(words, " and ")),
                "lockstep help recipe --search", "use fewer words, or parts of them");
  return by_name + by_comment;
}

}  // namespace lockstep::launch

#include "launch/recipe/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/text_format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "data/source_file.h"
#include "launch/recipe/first_error.h"
#include "launch/recipe/recipe_fields.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

void ResolvePathsIn(pb::Message& message, const pb::FieldDescriptor& field, const std::string& folder,
                    const std::string& path) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated())
    return reflection.SetString(&message, &field,
                                data::ResolveDataPath(reflection.GetString(message, &field), folder, path));
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
    reflection.SetRepeatedString(&message, &field, i,
                                 data::ResolveDataPath(reflection.GetRepeatedString(message, &field, i), folder, path));
}

void ResolvePaths(Recipe& recipe, const std::string& folder) {
  VisitFields(recipe, "", [&](pb::Message& message, const pb::FieldDescriptor& field, const std::string& path) {
    if (IsPath(field)) ResolvePathsIn(message, field, folder, path);
  });
}

/// The text that sets `field` to `value`: strings need no quotes on the command line, lists are separated by commas.
std::string FieldText(const pb::FieldDescriptor& field, const std::string& value) {
  const auto quoted = [&](const std::string& item) {
    if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) return item;
    std::string text = "\"";
    for (char c : item) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    return text + '"';
  };
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) return fmt::format("{} {{ {} }}", field.name(), value);
  if (!field.is_repeated()) return fmt::format("{}: {}", field.name(), quoted(value));
  std::string text;
  std::istringstream items(value);
  for (std::string item; std::getline(items, item, ',');) text += fmt::format("{}: {} ", field.name(), quoted(item));
  return text;
}

[[noreturn]] void BadSetting(const std::string& setting, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kUsage, message, "--set " + setting, hint);
}

void ApplySetting(Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    BadSetting(setting, "is not PATH=VALUE", "for example --set train.seed=2");
  const std::string value = setting.substr(equals + 1);
  pb::Message* message = &recipe;
  const pb::FieldDescriptor* field = nullptr;
  std::istringstream path(setting.substr(0, equals));
  for (std::string name; std::getline(path, name, '.');) {
    if (field != nullptr) {
      if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated())
        BadSetting(setting, fmt::format("{} has no fields", field->name()), "see lockstep help recipe");
      message = message->GetReflection()->MutableMessage(message, field);
    }
    field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) {
      std::vector<std::string> known;
      for (int i = 0; i < message->GetDescriptor()->field_count(); ++i)
        known.push_back(message->GetDescriptor()->field(i)->name());
      BadSetting(setting, fmt::format("there is no field \"{}\"", name),
                 fmt::format("known here: {}", fmt::join(known, ", ")));
    }
  }
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const std::string text = FieldText(*field, value);
  // The text is parsed by itself first, since "train.seed=1 steps: 3" and two alternatives at once must not pass.
  std::unique_ptr<pb::Message> alone(message->New());
  if (!parser.ParseFromString(text, alone.get()))
    BadSetting(setting, fmt::format("{} can't be \"{}\": {}", field->name(), value, error.text),
               "see lockstep help recipe");
  std::vector<const pb::FieldDescriptor*> set;
  alone->GetReflection()->ListFields(*alone, &set);
  for (const pb::FieldDescriptor* other : set)
    if (other != field)
      BadSetting(setting, fmt::format("{} can't be \"{}\": it sets {} too", field->name(), value, other->name()),
                 "give each a --set of its own");
  if (field->is_repeated()) message->GetReflection()->ClearField(message, field);
  CHECK(parser.MergeFromString(text, message));
  // Relative paths on the command line start at the working directory; the recipe's own are resolved later.
  if (IsPath(*field)) ResolvePathsIn(*message, *field, ".", setting.substr(0, equals));
}

}  // namespace

Recipe ParseRecipe(const std::string& text, const std::string& name, const std::string& folder,
                   const std::vector<std::string>& settings) {
  Recipe recipe;
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &recipe))
    throw Error(ErrorKind::kUsage, error.text, fmt::format("{}:{}:{}", name, error.at_line, error.at_column),
                "see lockstep help recipe");
  for (const std::string& setting : settings) ApplySetting(recipe, setting);
  ResolvePaths(recipe, folder);
  if (recipe.name().empty()) recipe.set_name(std::filesystem::path(name).stem().string());
  return recipe;
}

Recipe ReadRecipe(const std::string& path, const std::vector<std::string>& settings) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || std::filesystem::is_directory(path) || !(text << file.rdbuf()))
    throw Error(
        ErrorKind::kUsage,
        fmt::format("the recipe can't be read: {}", errno == 0 ? "it is empty or a folder" : std::strerror(errno)),
        path, "lockstep train takes the path of a recipe, for example examples/digits.textproto");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return ParseRecipe(text.str(), path, folder.empty() ? "." : folder.string(), settings);
}

std::string ToText(const Recipe& recipe) {
  std::string text;
  pb::TextFormat::PrintToString(recipe, &text);
  return text;
}

}  // namespace lockstep::launch

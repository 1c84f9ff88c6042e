#include "launch/recipe/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/text_format.h>

#include <memory>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "launch/recipe/first_error.h"
#include "launch/recipe/recipe_fields.h"
#include "launch/recipe/recipe_paths.h"
#include "launch/recipe/suggestions.h"
#include "launch/recipe/text_error.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

[[noreturn]] void BadSetting(const std::string& setting, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kUsage, message, "--set " + setting, hint);
}

bool IsText(const pb::FieldDescriptor& field) { return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING; }
bool IsMessage(const pb::FieldDescriptor& field) { return field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE; }

bool IsEnclosed(const std::string& value, char opening, char closing) {
  return value.size() >= 2 && value.front() == opening && value.back() == closing;
}

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

/// `text` without the quotes around it and the backslashes in front of quotes and backslashes.
std::string Unquoted(const std::string& text) {
  if (!IsEnclosed(text, '"', '"')) return text;
  std::string plain;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    plain += text[i];
  }
  return plain;
}

/// What stands between commas; a comma between quotes separates nothing.
std::vector<std::string> ItemsOf(std::string value) {
  const bool brackets = IsEnclosed(value, '[', ']');
  if (brackets) value = value.substr(1, value.size() - 2);
  if (Trimmed(value).empty()) return {};
  std::vector<std::string> items(1);
  bool quoted = false;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    // A quote in the middle of a word is a part of it.
    if (c == '"' && (quoted || Trimmed(items.back()).empty())) quoted = !quoted;
    if (c == ',' && !quoted) {
      items.emplace_back();
      continue;
    }
    items.back() += c;
    if (quoted && c == '\\' && i + 1 < value.size()) items.back() += value[++i];
  }
  for (std::string& item : items) item = brackets || Trimmed(item).starts_with('"') ? Unquoted(Trimmed(item)) : item;
  return items;
}

/// A string as it was typed; "\t" alone is a tab, which shells don't pass on easily.
std::string TextOf(const pb::FieldDescriptor& field, const std::string& value) {
  return value == "\\t" && !IsPath(field) ? "\t" : value;
}

/// The text that sets `field`, which holds no strings, to `value`.
std::string FieldText(const pb::FieldDescriptor& field, const std::string& value) {
  if (field.is_repeated() && IsEnclosed(value, '[', ']'))
    return Trimmed(value.substr(1, value.size() - 2)).empty() ? "" : fmt::format("{}: {}", field.name(), value);
  if (IsMessage(field)) return field.name() + (IsEnclosed(value, '{', '}') ? " " + value : " { " + value + " }");
  if (!field.is_repeated()) return fmt::format("{}: {}", field.name(), value);
  std::string text;
  for (const std::string& item : ItemsOf(value)) text += fmt::format("{}: {} ", field.name(), item);
  return text;
}

/// The field that the words between dots lead to, and the message that it lies in, which is made where it isn't there.
struct Place {
  pb::Message* message;
  const pb::FieldDescriptor* field;
  std::string path;  ///< of the message
};

[[noreturn]] void UnknownField(const std::string& setting, const std::string& name, const Place& place,
                               const Recipe& recipe) {
  std::vector<std::string> known;
  for (int i = 0; i < place.message->GetDescriptor()->field_count(); ++i)
    known.push_back(place.message->GetDescriptor()->field(i)->name());
  const std::string meant = DidYouMean(FieldsMeantBy(name, place.path, recipe));
  BadSetting(setting, fmt::format("there is no field \"{}\"", name),
             fmt::format("{}{}known here: {}", meant, meant.empty() ? "" : " ", fmt::join(known, ", ")));
}

Place FindField(Recipe& recipe, const std::string& path, const std::string& setting) {
  const Recipe before = recipe;
  Place place{&recipe, nullptr, ""};
  std::istringstream names(path);
  for (std::string name; std::getline(names, name, '.');) {
    if (place.field != nullptr) {
      if (!IsMessage(*place.field) || place.field->is_repeated())
        BadSetting(setting, fmt::format("{} has no fields", place.field->name()), "see lockstep help recipe");
      for (const pb::FieldDescriptor* other : AlternativesOf(*place.field))
        place.message->GetReflection()->ClearField(place.message, other);
      place.message = place.message->GetReflection()->MutableMessage(place.message, place.field);
      place.path += (place.path.empty() ? "" : ".") + place.field->name();
    }
    place.field = place.message->GetDescriptor()->FindFieldByName(name);
    if (place.field == nullptr) UnknownField(setting, name, place, before);
  }
  return place;
}

/// The message of `place` with nothing but its field, set to `value`. Throws Error(kUsage) where the value is none.
std::unique_ptr<pb::Message> ParseAlone(const Place& place, const std::string& value, const std::string& setting,
                                        const Recipe& recipe) {
  const pb::FieldDescriptor& field = *place.field;
  std::unique_ptr<pb::Message> alone(place.message->New());
  if (IsText(field)) {
    if (!field.is_repeated()) alone->GetReflection()->SetString(alone.get(), &field, TextOf(field, value));
    if (field.is_repeated())
      for (const std::string& item : ItemsOf(value))
        alone->GetReflection()->AddString(alone.get(), &field, TextOf(field, item));
    return alone;
  }
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const std::string text = FieldText(field, value);
  if (!parser.ParseFromString(text, alone.get())) {
    const TextComplaint complaint =
        Explain(error, text, *place.message->GetDescriptor(), {"recipe", place.path, recipe});
    // Of a value of an enum the hint says all.
    const bool said = field.enum_type() != nullptr && complaint.hint.find("see") != 0;
    BadSetting(setting, fmt::format("{} can't be \"{}\"{}", field.name(), value, said ? "" : ": " + complaint.message),
               complaint.hint);
  }
  // "train.seed=1 steps: 3" sets more than it says.
  std::vector<const pb::FieldDescriptor*> set;
  alone->GetReflection()->ListFields(*alone, &set);
  for (const pb::FieldDescriptor* other : set)
    if (other != &field)
      BadSetting(setting, fmt::format("{} can't be \"{}\": it sets {} too", field.name(), value, other->name()),
                 "give each a --set of its own");
  return alone;
}

/// Makes room for what `from` has: lists, messages and the alternatives of its fields go.
void ClearReplaced(const pb::Message& from, pb::Message& message) {
  std::vector<const pb::FieldDescriptor*> set;
  from.GetReflection()->ListFields(from, &set);
  for (const pb::FieldDescriptor* field : set) {
    message.GetReflection()->ClearField(&message, field);
    for (const pb::FieldDescriptor* other : AlternativesOf(*field))
      message.GetReflection()->ClearField(&message, other);
  }
}

}  // namespace

void ApplySetting(Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    BadSetting(setting, "is not PATH=VALUE", "for example --set train.seed=2");
  // "train.seed = 2" is meant as it reads.
  const bool spaced = setting[equals - 1] == ' ';
  const std::string path = Trimmed(setting.substr(0, equals));
  const std::string value = spaced ? Trimmed(setting.substr(equals + 1)) : setting.substr(equals + 1);
  const Recipe before = recipe;
  const Place place = FindField(recipe, path, setting);
  const std::unique_ptr<pb::Message> alone = ParseAlone(place, value, setting, before);
  // Relative paths on the command line start at the working directory; the recipe's own are resolved later.
  if (IsPath(*place.field)) ResolvePathsIn(*alone, *place.field, ".", path);
  const pb::Reflection& reflection = *place.message->GetReflection();
  if (place.message == &recipe && IsMessage(*place.field)) {
    pb::Message& part = *reflection.MutableMessage(place.message, place.field);
    const pb::Message& given = reflection.GetMessage(*alone, place.field);
    ClearReplaced(given, part);
    part.MergeFrom(given);
    return;
  }
  // Of fields with no presence a zero is not there: it replaces no alternative.
  ClearReplaced(*alone, *place.message);
  reflection.ClearField(place.message, place.field);
  place.message->MergeFrom(*alone);
}

}  // namespace lockstep::launch

#include "launch/report/recipe_differences.h"

#include <google/protobuf/text_format.h>

#include <algorithm>

#include "data/utf8.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

using Messages = std::vector<const pb::Message*>;

constexpr size_t kMostOfValue = 300;

bool IsSet(const pb::Message& message, const pb::FieldDescriptor& field) {
  const pb::Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0 : reflection.HasField(message, &field);
}

/// A value that is set; of a repeated field all, with commas.
std::string ValueText(const pb::Message& message, const pb::FieldDescriptor& field) {
  if (!field.is_repeated() && field.message_type() != nullptr)
    return OneLine(message.GetReflection()->GetMessage(message, &field), kMostOfValue);
  pb::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  const int count = field.is_repeated() ? message.GetReflection()->FieldSize(message, &field) : 1;
  for (int i = 0; i < count; ++i) {
    std::string value;
    printer.PrintFieldValueToString(message, &field, field.is_repeated() ? i : -1, &value);
    text += (i == 0 ? "" : ", ") + value;
  }
  return Cut(text, kMostOfValue);
}

void Compare(const Messages& messages, const std::string& prefix, std::vector<FieldDifference>& differences) {
  const pb::Descriptor& type = *messages.front()->GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    const std::string path = prefix + field.name();
    if (path == "name") continue;
    const auto has = [&](const pb::Message* message) { return IsSet(*message, field); };
    if (std::none_of(messages.begin(), messages.end(), has)) continue;
    if (field.message_type() != nullptr && !field.is_repeated() && std::all_of(messages.begin(), messages.end(), has)) {
      Messages inner;
      for (const pb::Message* message : messages)
        inner.push_back(&message->GetReflection()->GetMessage(*message, &field));
      Compare(inner, path + ".", differences);
      continue;
    }
    FieldDifference difference{path, {}};
    for (const pb::Message* message : messages)
      difference.values.push_back(has(message) ? ValueText(*message, field) : "");
    const auto other = [&](const std::string& value) { return value != difference.values.front(); };
    if (std::any_of(difference.values.begin(), difference.values.end(), other))
      differences.push_back(std::move(difference));
  }
}

}  // namespace

std::vector<FieldDifference> CompareFields(const Messages& recipes) {
  std::vector<FieldDifference> differences;
  if (recipes.size() > 1) Compare(recipes, "", differences);
  return differences;
}

std::string OneLine(const pb::Message& message, size_t most) {
  pb::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetUseShortRepeatedPrimitives(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(message, &text);
  text.erase(text.find_last_not_of(' ') + 1);
  return Cut(text, most);
}

std::string Cut(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = 0;
  for (size_t next = 0; next + 3 <= most; next += data::CharacterAt(text, next).bytes) end = next;
  return text.substr(0, end) + "...";
}

}  // namespace lockstep::launch

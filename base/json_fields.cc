#include "base/json_fields.h"

namespace lockstep {

Json ParseJsonObject(std::string_view text) {
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? value : Json();
}

std::vector<Json> ParseJsonRows(std::string_view text) {
  std::vector<Json> rows;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (Json row = ParseJsonObject(text.substr(0, end)); row.is_object()) rows.push_back(std::move(row));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return rows;
}

JsonFields::JsonFields(const Json& object, const Damaged& damaged) : object_(object), damaged_(damaged) {
  if (!object.is_object()) damaged_("it is no JSON object");
}

const Json& JsonFields::Field(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) damaged_(fmt::format("there is no \"{}\"", name));
  return *found;
}

const Json& JsonFields::List(const char* name) const {
  const Json& value = Field(name);
  if (!value.is_array()) damaged_(fmt::format("\"{}\" is no list", name));
  return value;
}

std::vector<std::string> JsonFields::Texts(const char* name) const {
  std::vector<std::string> texts;
  for (const Json& text : List(name)) {
    if (!text.is_string()) damaged_(fmt::format("\"{}\" has something that is no text", name));
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

}  // namespace lockstep

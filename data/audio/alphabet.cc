#include "data/audio/alphabet.h"

#include <set>

#include "base/error.h"
#include "data/utf8.h"

namespace lockstep::data {

Alphabet::Alphabet(std::string_view letters) : letters_(letters) {
  constexpr char kWhere[] = "data.alphabet";
  for (size_t at = 0; at < letters.size();) {
    const Character character = CharacterAt(letters, at);
    if (!character.valid)
      throw Error(ErrorKind::kUsage, "has " + NameCharacter(letters, at), kWhere, "write it as UTF-8");
    code_points_.push_back(character.code_point);
    if (!labels_.emplace(character.code_point, static_cast<int32_t>(code_points_.size())).second)
      throw Error(ErrorKind::kUsage, fmt::format("has {} twice", NameCharacter(letters, at)), kWhere, "name each once");
    at += character.bytes;
  }
  if (code_points_.empty()) {
    throw Error(ErrorKind::kUsage, "there are no letters", kWhere, "name them, or give transcripts that have some");
  }
}

size_t Alphabet::Encode(std::string_view text, std::vector<int32_t>& labels) const {
  size_t at = 0;
  while (at < text.size()) {
    const Character character = CharacterAt(text, at);
    const auto label = labels_.find(character.code_point);
    if (!character.valid || label == labels_.end()) break;
    labels.push_back(label->second);
    at += character.bytes;
  }
  return at;
}

std::string Alphabet::Decode(std::span<const int32_t> labels) const {
  std::string text;
  for (const int32_t label : labels) {
    CHECK(label >= 1 && label < classes(), "label {} of {}", label, classes());
    AppendCharacter(code_points_[static_cast<size_t>(label) - 1], text);
  }
  return text;
}

std::string LettersOf(std::span<const std::string_view> texts) {
  std::set<char32_t> code_points;
  for (const std::string_view text : texts) {
    for (size_t at = 0; at < text.size();) {
      const Character character = CharacterAt(text, at);
      code_points.insert(character.code_point);
      at += character.bytes;
    }
  }
  std::string letters;
  for (const char32_t code_point : code_points) AppendCharacter(code_point, letters);
  return letters;
}

}  // namespace lockstep::data

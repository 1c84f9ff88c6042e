#include "trainer/metrics/edit_distance.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace lockstep::metrics {

int64_t EditDistance(std::span<const std::string_view> a, std::span<const std::string_view> b) {
  std::vector<int64_t> row(b.size() + 1);  // from the first i of `a` to the first j of `b`
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = std::exchange(row[0], static_cast<int64_t>(i) + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j + 1] + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::vector<std::string_view> WordsOf(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  std::vector<std::string_view> words;
  for (size_t at = 0; (at = text.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string_view> CharactersOf(std::string_view text) {
  const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; };
  std::vector<std::string_view> characters;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    while (end < text.size() && continues(text[end])) ++end;
    characters.push_back(text.substr(at, end - at));
    at = end;
  }
  return characters;
}

ErrorCount WordErrors(std::string_view written, std::string_view reference) {
  const auto words = WordsOf(reference);
  return {EditDistance(WordsOf(written), words), static_cast<int64_t>(words.size())};
}

ErrorCount CharacterErrors(std::string_view written, std::string_view reference) {
  const auto characters = CharactersOf(reference);
  return {EditDistance(CharactersOf(written), characters), static_cast<int64_t>(characters.size())};
}

std::vector<int32_t> CollapsePath(std::span<const int32_t> path) {
  std::vector<int32_t> labels;
  int32_t before = 0;
  for (const int32_t label : path) {
    if (label != 0 && label != before) labels.push_back(label);
    before = label;
  }
  return labels;
}

}  // namespace lockstep::metrics

// How far what a model wrote is from what was said: word and character error rates, as integers that add up over a
// split. And the greedy reading of a CTC model's outputs (Graves et al. 2006, section 3.2: best path decoding).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::metrics {

/// The least number of insertions, deletions and substitutions that make `a` of `b` (Levenshtein 1966).
int64_t EditDistance(std::span<const std::string_view> a, std::span<const std::string_view> b);

/// Words are what stands between blanks (space, tab, line and page ends of ASCII); there are no empty ones.
std::vector<std::string_view> WordsOf(std::string_view text);
/// The Unicode characters of UTF-8, blanks among them.
std::vector<std::string_view> CharactersOf(std::string_view text);

/// An error rate is the sum of `errors` over the sum of `length`. It can be above 1.
struct ErrorCount {
  int64_t errors = 0;
  int64_t length = 0;  ///< words or characters of the reference

  friend bool operator==(const ErrorCount&, const ErrorCount&) = default;
};
ErrorCount WordErrors(std::string_view written, std::string_view reference);
ErrorCount CharacterErrors(std::string_view written, std::string_view reference);

/// What a path of best classes, one a time step, stands for: runs of one class are one, and class 0, the blank, is
/// nothing.
std::vector<int32_t> CollapsePath(std::span<const int32_t> path);

}  // namespace lockstep::metrics

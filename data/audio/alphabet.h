// The letters that a CTC model writes: Unicode characters, each a class. Class 0 is CTC's blank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lockstep::data {

class Alphabet {
 public:
  /// Letter i of `letters` is class i + 1. Throws Error(kUsage) where one is there twice, none is, or they are no
  /// UTF-8.
  explicit Alphabet(std::string_view letters);

  /// The letters in their order, as UTF-8.
  const std::string& letters() const { return letters_; }
  /// Letters, and the blank.
  int classes() const { return static_cast<int>(code_points_.size()) + 1; }
  /// Appends the classes of `text`. Returns where the first character stands that is no letter (the bytes behind it are
  /// not looked at), text.size() where all are.
  size_t Encode(std::string_view text, std::vector<int32_t>& labels) const;
  /// REQUIRES: 1 <= label < classes().
  std::string Decode(std::span<const int32_t> labels) const;

 private:
  std::string letters_;
  std::vector<char32_t> code_points_;
  std::unordered_map<char32_t, int32_t> labels_;
};

/// The characters of `texts`, sorted by code point, each once. REQUIRES: valid UTF-8.
std::string LettersOf(std::span<const std::string_view> texts);

}  // namespace lockstep::data

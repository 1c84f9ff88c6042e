// A table as it was read: columns of numbers and words, of which nothing is decided yet that depends on which rows are
// trained on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/table/table_roles.h"

namespace lockstep::data {

/// Words of a column, each once, in the order in which they came.
class WordList {
 public:
  int32_t Add(std::string_view word);
  /// The word's number; -1 where it has none.
  int32_t Find(std::string_view word) const;
  const std::vector<std::string>& words() const { return words_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::vector<std::string> words_;
  std::unordered_map<std::string, int32_t, Hash, std::equal_to<>> numbers_;
};

struct TableValues {
  std::string name;
  bool of_words = false;       ///< of a feature that is categorical, or embedded
  bool embedded = false;       ///< it is a category, and no feature
  size_t place = 0;            ///< of a feature that is a number: its place among those of a row
  std::vector<float> targets;  ///< of a target, by row
  // Of columns of words.
  WordList list;
  std::vector<int32_t> words;  ///< by row: number in `list`; -1 where it is missing
};

struct RawTable {
  TableRoles roles;
  uint64_t rows = 0;
  std::vector<uint64_t> lines;           ///< by row, where it begins
  std::vector<TableValues> features;     ///< in the order of roles.features
  size_t width = 0;                      ///< features that are numbers
  std::vector<std::byte> numbers;        ///< f32 [rows, width], as records hold them; NaN where one is missing
  std::vector<TableValues> targets;      ///< in the order of roles.targets; nothing is missing
  TableValues label;                     ///< words, as they stand there
  std::vector<std::string> ids, groups;  ///< by row; empty where there is no such column

  /// The numbers of a row.
  const float* NumbersOf(uint64_t row) const { return reinterpret_cast<const float*>(numbers.data()) + row * width; }
};

/// Makes room for so many rows, so that columns don't move while they grow. REQUIRES: features and targets are there.
void Reserve(uint64_t rows, RawTable& table);

/// Adds the rows of `more`, a further part of the same file, in front of which `lines` lines are. REQUIRES: the same
/// roles.
void Append(const RawTable& more, uint64_t lines, RawTable& table);

}  // namespace lockstep::data

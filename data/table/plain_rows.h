// Rows as most files have them, read in one pass: a line each, no quotes, plain numbers where numbers are wanted. What
// is otherwise is left to CsvRows and ReadCell, which take several passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::data {

class PlainRows {
 public:
  /// What a column's cells are read as.
  enum class Kind : uint8_t { kNumber, kText };

  /// Of no columns, which reads nothing.
  PlainRows() = default;
  PlainRows(std::vector<Kind> columns, char separator, char decimal);

  /// Reads the row that `text` begins with, and makes its text the `cells`, by column and without blanks around it.
  /// Returns the bytes of its line, the line's end included; 0 where it is no such row, or the last line has no end:
  /// then nothing is known.
  size_t Read(std::string_view text, std::vector<std::string_view>& cells);
  /// Of the row that was read last, by column.
  std::span<const float> numbers() const { return numbers_; }

 private:
  std::vector<Kind> columns_;
  char separator_ = ',';
  std::vector<float> numbers_;  ///< by column
};

}  // namespace lockstep::data

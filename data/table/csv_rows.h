// The rows of a CSV file and their cells (RFC 4180): quotes hold separators and ends of lines, and two of them are one.
//
// Blank lines, lines that begin with #, a separator at the end of all rows, a byte order mark and carriage returns
// don't count; where there are only carriage returns, they end lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

/// One row: its cells as they stand in the file, without blanks and quotes around them.
struct CsvRow {
  std::vector<std::string_view> cells;
  uint64_t line = 0;  ///< from 1; where it begins
};

class CsvRows {
 public:
  /// `text` outlives it. The first `skipped_lines` are left out.
  CsvRows(std::span<const std::byte> text, char separator, uint64_t skipped_lines, const Origin& origin);

  /// Reads the next row; false where there is none. Throws Error(kData) where a quote never ends.
  bool Next(CsvRow& row);
  /// The last of the skipped lines as a row; false where none was skipped, or it has one cell only. To be called before
  /// Next.
  bool Heading(CsvRow& row);
  /// For a text that is a part of another: how many columns its rows have.
  void Expect(size_t columns) { columns_ = columns; }

 private:
  std::string_view TakeLine();
  void Count(CsvRow& row);
  bool Split(std::string_view text, std::vector<std::string_view>& cells) const;

  const char separator_;
  const Origin& origin_;
  std::string_view text_, heading_;
  size_t at_ = 0;
  uint64_t line_ = 0;  ///< that was taken last
  char line_end_;
  size_t columns_ = 0;  ///< that the heading or the first row has; 0: not known yet
};

}  // namespace lockstep::data

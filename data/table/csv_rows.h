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
  /// A further part of a text whose lines end with \n, behind `lines` lines of it; rows have so many columns.
  CsvRows(std::string_view text, char separator, const Origin& origin, size_t columns, uint64_t lines)
      : separator_(separator), origin_(origin), text_(text), line_(lines), line_end_('\n'), columns_(columns) {}

  /// Reads the next row; false where there is none. Throws Error(kData) where a quote never ends.
  bool Next(CsvRow& row);
  /// The last of the skipped lines as a row; false where none was skipped, or it has one cell only. To be called before
  /// Next.
  bool Heading(CsvRow& row);

  /// What Next has not read yet, where lines end as Unix and Windows end them; otherwise nothing.
  std::string_view rest() const { return line_end_ == '\n' ? text_.substr(at_) : std::string_view(); }
  /// Passes over the first line of the rest, which has so many bytes.
  void Pass(size_t bytes) {
    at_ += bytes;
    ++line_;
  }
  /// The line that was taken last, from 1; 0: none was.
  uint64_t line() const { return line_; }

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

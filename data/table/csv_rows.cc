#include "data/table/csv_rows.h"

#include <algorithm>
#include <string>

#include "data/table/cell.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// A quoted cell of more lines than this is a quote that was never closed.
constexpr int kMostLines = 10000;

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

}  // namespace

CsvRows::CsvRows(std::span<const std::byte> text, char separator, uint64_t skipped_lines, const Origin& origin)
    : separator_(separator),
      origin_(origin),
      text_(WithoutByteOrderMark(text)),
      line_end_(text_.find('\n') == std::string_view::npos ? '\r' : '\n') {
  for (uint64_t i = 0; i < skipped_lines && at_ < text_.size(); ++i) heading_ = TakeLine();
}

std::string_view CsvRows::TakeLine() {
  const size_t begin = at_;
  const size_t end = std::min(text_.find(line_end_, begin), text_.size());
  at_ = std::min(end + 1, text_.size());
  ++line_;
  return text_.substr(begin, end - begin);
}

/// False where the text ends inside of quotes. In a cell that begins with a quote, separators part nothing until the
/// next one.
bool CsvRows::Split(std::string_view text, std::vector<std::string_view>& cells) const {
  cells.clear();
  size_t begin = 0;
  bool quoted = false, blank = true;  // whether the cell has nothing but blanks so far
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == separator_ && !quoted) {
      cells.push_back(TrimCell(text.substr(begin, at - begin)));
      begin = at + 1;
      blank = true;
    } else if (c == '"' && (quoted || blank)) {
      quoted = !quoted;
    } else if (c != ' ' && c != '\t' && !quoted) {
      blank = false;
    }
  }
  cells.push_back(TrimCell(text.substr(begin)));
  return !quoted;
}

bool CsvRows::Next(CsvRow& row) {
  std::string_view line;
  do {
    if (at_ >= text_.size()) return false;
    line = TakeLine();
  } while (line.starts_with('#') || IsBlank(line));
  row.line = line_;
  for (int lines = 1; !Split(line, row.cells); ++lines) {
    if (at_ >= text_.size() || lines == kMostLines)
      throw origin_.Bad("a quote opens in this line and never ends", "close it, or write two quotes for one in a cell",
                        std::to_string(row.line));
    const char* const begin = line.data();
    const std::string_view next = TakeLine();
    line = {begin, static_cast<size_t>(next.data() + next.size() - begin)};
  }
  Count(row);
  return true;
}

void CsvRows::Count(CsvRow& row) {
  const bool separator_last = row.cells.size() > 1 && row.cells.back().empty();
  if (separator_last && (columns_ == 0 || row.cells.size() == columns_ + 1)) row.cells.pop_back();
  if (columns_ == 0) columns_ = row.cells.size();
}

bool CsvRows::Heading(CsvRow& row) {
  if (heading_.empty()) return false;
  Split(heading_, row.cells);
  if (row.cells.size() == 1) return false;
  Count(row);
  return true;
}

}  // namespace lockstep::data

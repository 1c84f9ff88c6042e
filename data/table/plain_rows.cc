#include "data/table/plain_rows.h"

#include <string_view>
#include <utility>

#include "data/table/cell.h"
#include "data/table/plain_number.h"

namespace lockstep::data {
namespace {

/// Whether numbers end where the separator stands.
bool PartsNumbers(char separator) {
  constexpr std::string_view kOfNumbers = "0123456789.+-eE";
  return kOfNumbers.find(separator) == std::string_view::npos;
}

bool BeginsPlainly(char c) { return c != '#' && c != ' ' && c != '\t' && c != '\r' && c != '\n'; }

}  // namespace

PlainRows::PlainRows(std::vector<Kind> columns, char separator, char decimal)
    : columns_(std::move(columns)), separator_(separator), numbers_(columns_.size()) {
  if (!PartsNumbers(separator) || decimal != '.') columns_.clear();
}

size_t PlainRows::Read(std::string_view text, std::vector<std::string_view>& cells) {
  if (columns_.empty() || text.empty() || !BeginsPlainly(text[0])) return 0;
  cells.resize(columns_.size());
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t column = 0; column < columns_.size(); ++column) {
    if (column > 0) {
      if (at == end || *at != separator_) return 0;
      ++at;
    }
    if (columns_[column] == Kind::kNumber) {
      at = ReadPlainNumber(at, end, numbers_[column]);
      if (at == nullptr) return 0;
    } else {
      const char* const begin = at;
      for (; at != end && *at != separator_ && *at != '\n'; ++at)
        if (*at == '"') return 0;
      cells[column] = TrimCell({begin, static_cast<size_t>(at - begin)});
    }
  }
  if (at != end && *at == '\r') ++at;
  return at != end && *at == '\n' ? static_cast<size_t>(at - text.data()) + 1 : 0;
}

}  // namespace lockstep::data

#include "data/table/cell.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "data/table/plain_number.h"

namespace lockstep::data {
namespace {

constexpr std::string_view kMissing[] = {"",         "?",    "NA",     "N/A",     "n/a",     "nan",  "NaN",     "NAN",
                                         "null",     "NULL", "None",   "<NA>",    "#N/A",    "#NA",  "-nan",    "-NaN",
                                         "#N/A N/A", "Null", "1.#IND", "-1.#IND", "1.#QNAN", "none", "-1.#QNAN"};
constexpr std::string_view kTrue[] = {"True", "true", "TRUE"};
constexpr std::string_view kFalse[] = {"False", "false", "FALSE"};

template <size_t n>
bool IsOneOf(std::string_view text, const std::string_view (&words)[n]) {
  return std::find(std::begin(words), std::end(words), text) != std::end(words);
}

Cell Number(double value) { return {Cell::kNumber, static_cast<float>(value)}; }

bool IsDigit(char c) { return '0' <= c && c <= '9'; }

/// REQUIRES: the decimal is a point.
Cell ReadNumber(std::string_view text) {
  const char* const text_end = text.data() + text.size();
  if (float number = 0; ReadPlainNumber(text.data(), text_end, number) == text_end) return {Cell::kNumber, number};
  if (text.size() >= 2 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {};
  if (error == std::errc::result_out_of_range) {
    const size_t exponent = text.find_first_of("eE");
    return exponent != std::string_view::npos && text[exponent + 1] == '-' ? Number(0) : Cell{};
  }
  if (error != std::errc() || !std::isfinite(static_cast<float>(value))) return {};
  return Number(value);
}

}  // namespace

Cell ReadCell(std::string_view text, char decimal) {
  const bool may_be_number =
      !text.empty() && (IsDigit(text[0]) || text[0] == '-' || text[0] == '+' || text[0] == decimal);
  if (may_be_number) {
    Cell cell;
    if (decimal == '.') {
      cell = ReadNumber(text);
    } else {
      std::array<char, 64> pointed;
      if (text.size() > pointed.size() || text.find('.') != std::string_view::npos) return {};
      std::replace_copy(text.begin(), text.end(), pointed.begin(), decimal, '.');
      cell = ReadNumber({pointed.data(), text.size()});
    }
    if (cell.kind == Cell::kNumber) return cell;
  }
  if (IsOneOf(text, kMissing)) return {Cell::kMissing};
  if (IsOneOf(text, kTrue)) return Number(1);
  if (IsOneOf(text, kFalse)) return Number(0);
  return {};
}

bool LooksLikeDate(std::string_view word) {
  size_t at = 0;
  int parts = 0;
  char separator = 0;
  bool year = false;  // "1.2.3" is a version
  while (parts < 3) {
    size_t digits = 0;
    while (at < word.size() && IsDigit(word[at])) ++at, ++digits;
    if (digits == 0 || digits > 4) return false;
    year |= digits == 4;
    if (++parts == 3) break;
    if (at == word.size() || (word[at] != '-' && word[at] != '/' && word[at] != '.')) return false;
    if (separator != 0 && word[at] != separator) return false;
    separator = word[at++];
  }
  return (year || separator == '/') && (at == word.size() || word[at] == ' ' || word[at] == 'T');
}

std::string_view TrimCell(std::string_view cell) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!cell.empty() && is_blank(cell.front())) cell.remove_prefix(1);
  while (!cell.empty() && is_blank(cell.back())) cell.remove_suffix(1);
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
  return cell;
}

std::string UnquoteCell(std::string_view cell) {
  std::string text(cell);
  for (size_t at = 0; (at = text.find("\"\"", at)) != std::string::npos; ++at) text.erase(at, 1);
  return text;
}

}  // namespace lockstep::data

#include "data/pictures/read_picture_list.h"

#include <string_view>

#include "data/table/csv_rows.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

constexpr char kColumns[] = "a line is PATH,CLASS (or with a tab or a semicolon between them)";

char SeparatorOf(std::string_view line) {
  for (const char separator : {'\t', ';'})
    if (line.find(separator) != std::string_view::npos) return separator;
  return ',';
}

/// What the first line has.
char SeparatorOf(std::span<const std::byte> text) {
  const std::string_view all = WithoutByteOrderMark(text);
  const size_t begin = all.find_first_not_of("\r\n");
  if (begin == std::string_view::npos) return ',';
  return SeparatorOf(all.substr(begin, all.find_first_of("\r\n", begin) - begin));
}

/// In quotes two of them are one.
std::string Unquoted(std::string_view cell) {
  std::string text(cell);
  for (size_t at = 0; (at = text.find("\"\"", at)) != std::string::npos; ++at) text.erase(at, 1);
  return text;
}

}  // namespace

PictureList ReadPictureList(std::span<const std::byte> text, const Origin& origin, const BrokenFunction& on_broken) {
  CsvRows rows(text, SeparatorOf(text), 0, origin);
  PictureList list;
  std::vector<std::string> classes;
  CsvRow row;
  for (bool first = true; rows.Next(row); first = false) {
    const auto bad = [&](std::string message) {
      Report(on_broken, origin.Bad(std::move(message), kColumns, fmt::format("{}", row.line)));
    };
    const size_t columns = row.cells.size();
    if (columns != 2) {
      bad(fmt::format("there {} {} column{}, where a path and a class are wanted", columns == 1 ? "is" : "are", columns,
                      columns == 1 ? "" : "s"));
    } else if (!IsPictureName(row.cells[0])) {
      if (!first) bad(fmt::format("\"{}\" is no picture's name (*.jpg, *.jpeg, *.png)", row.cells[0]));
    } else if (row.cells[1].empty()) {
      bad("the class is empty");
    } else {
      list.names.Add(Unquoted(row.cells[0]));
      classes.push_back(Unquoted(row.cells[1]));
    }
  }
  if (classes.empty()) throw origin.Bad("the list names no picture", kColumns);
  NumberClasses(classes, list);
  return list;
}

}  // namespace lockstep::data

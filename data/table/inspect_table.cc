#include "data/table/inspect_table.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "data/table/cell.h"
#include "data/table/csv_rows.h"
#include "data/table/table_reader.h"

namespace lockstep::data {
namespace {

constexpr size_t kLookedAt = 200;  // rows that the form is told by

using Rows = std::vector<std::vector<std::string_view>>;

Rows FirstRows(std::span<const std::byte> text, char separator, const Origin& origin) {
  CsvRows reader(text, separator, 0, origin);
  Rows rows;
  CsvRow row;
  try {
    while (rows.size() < kLookedAt && reader.Next(row)) rows.push_back(row.cells);
  } catch (const Error&) {
    rows.clear();  // quotes that don't close by this separator
  }
  return rows;
}

/// How many rows have as many columns as most, times these.
size_t Agreement(const Rows& rows) {
  std::map<size_t, size_t> widths;
  for (const auto& row : rows) ++widths[row.size()];
  size_t best = 0;
  for (const auto& [width, count] : widths)
    if (width > 1) best = std::max(best, count * 1000 + std::min<size_t>(width, 999));
  return best;
}

char FindSeparator(std::span<const std::byte> text, const Origin& origin) {
  char best = ',';
  size_t most = 0;
  for (const char separator : {',', ';', '\t', '|'}) {
    const size_t agreement = Agreement(FirstRows(text, separator, origin));
    if (agreement <= most) continue;
    most = agreement;
    best = separator;
  }
  return best;
}

/// Whether more cells are numbers with a comma than are with a point.
char FindDecimal(const Rows& rows, char separator) {
  if (separator == ',') return '.';
  size_t points = 0, commas = 0;
  for (const auto& row : rows) {
    for (const std::string_view cell : row) {
      points += cell.find('.') != cell.npos && ReadCell(cell).kind == Cell::kNumber;
      commas += cell.find(',') != cell.npos && ReadCell(cell, ',').kind == Cell::kNumber;
    }
  }
  return commas > points ? ',' : '.';
}

void AddNumber(double number, InspectedColumn& column) {
  column.integers &= number == std::floor(number);
  column.increasing &= column.numbers == 0 || number > column.most;
  column.least = column.numbers == 0 ? number : std::min(column.least, number);
  column.most = column.numbers == 0 ? number : std::max(column.most, number);
  ++column.numbers;
}

void AddCell(std::string_view text, char decimal, InspectedColumn& column) {
  const Cell cell = ReadCell(text, decimal);
  if (cell.kind == Cell::kMissing) {
    ++column.missing;
    return;
  }
  if (cell.kind == Cell::kNumber) {
    AddNumber(cell.number, column);
  } else {
    ++column.words;
    column.dates += LooksLikeDate(text);
  }
  if (auto found = column.counts.find(std::string(text)); found != column.counts.end()) {
    ++found->second;
  } else if (column.counts.size() < InspectedColumn::kMostCounted) {
    column.counts.emplace(text, 1);
  } else {
    column.many = true;
  }
}

}  // namespace

InspectedTable InspectTable(std::span<const std::byte> text, const Origin& origin) {
  InspectedTable table;
  table.separator = FindSeparator(text, origin);
  const Rows first = FirstRows(text, table.separator, origin);
  table.decimal = FindDecimal(first, table.separator);
  table.heading = HasHeading(first, table.decimal);
  CsvRows reader(text, table.separator, 0, origin);
  CsvRow row;
  for (uint64_t number = 0; reader.Next(row); ++number) {
    if (table.columns.empty()) table.columns.resize(row.cells.size());
    if (number == 0) {
      for (size_t i = 0; i < row.cells.size(); ++i)
        table.columns[i].name = table.heading ? std::string(row.cells[i]) : std::to_string(i);
      if (table.heading) continue;
    }
    if (row.cells.size() != table.columns.size()) {
      ++table.ragged;
      continue;
    }
    ++table.rows;
    for (size_t i = 0; i < row.cells.size(); ++i) AddCell(row.cells[i], table.decimal, table.columns[i]);
  }
  if (table.rows == 0) throw origin.Bad("there are no rows of several columns", "a table has a row a line");
  return table;
}

}  // namespace lockstep::data

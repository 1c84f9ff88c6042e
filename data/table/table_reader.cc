#include "data/table/table_reader.h"

#include <fmt/format.h>

#include <limits>
#include <span>
#include <string>
#include <utility>

#include "data/table/cell.h"

namespace lockstep::data {
namespace {

/// Rows that are looked at to see whether the first is a heading.
constexpr size_t kLookedAt = 64;

char DecimalOf(const Csv& config, char separator, const Origin& origin) {
  const char decimal = config.decimal().empty() ? '.' : config.decimal()[0];
  if (config.decimal().size() > 1 || (decimal != '.' && decimal != ',') || decimal == separator)
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" can't stand in numbers here", decimal),
                origin.field + ".decimal", "\".\" or \",\", and another separator");
  return decimal;
}

/// 0, 1, 2, ...: the heading that pandas gives to columns without names.
bool CountsColumns(std::span<const std::string_view> cells) {
  for (size_t i = 0; i < cells.size(); ++i)
    if (cells[i] != std::to_string(i)) return false;
  return cells.size() > 2;  // "0,1" may well be a sample
}

/// For messages: short, and without what a terminal would obey.
std::string Shown(std::string_view cell) {
  constexpr size_t kMostShown = 40;
  std::string shown(cell.substr(0, kMostShown));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  return shown;
}

/// Of a word that came before, as it stands there.
int32_t FindPlain(std::string_view text, const WordList& list) {
  return text.find('"') == text.npos ? list.Find(text) : -1;
}

}  // namespace

char SeparatorOf(const Csv& config, const Origin& origin) {
  if (config.separator().empty()) return ',';
  const char separator = config.separator()[0];
  if (config.separator().size() != 1 || separator == '\n' || separator == '\r' || separator == '"')
    throw Error(ErrorKind::kUsage, "the separator is one character, not a quote or the end of a line",
                origin.field + ".separator");
  return separator;
}

bool HasHeading(std::span<const std::vector<std::string_view>> rows, char decimal) {
  if (rows.size() < 2) return false;
  const std::vector<std::string_view>& first = rows.front();
  size_t of_numbers = 0, with_words = 0;  // columns of numbers, and those of them that begin with a word
  bool all_words = true;
  for (size_t column = 0; column < first.size(); ++column) {
    const Cell::Kind top = ReadCell(first[column], decimal).kind;
    const bool word = top == Cell::kWord;
    bool numbers = false, words = false, again = false;
    for (const auto& row : rows.subspan(1)) {
      if (column >= row.size()) continue;
      const Cell::Kind kind = ReadCell(row[column], decimal).kind;
      numbers |= kind == Cell::kNumber;
      words |= kind == Cell::kWord;
      again |= row[column] == first[column];
    }
    of_numbers += numbers && !words && top != Cell::kMissing;  // pandas' index has no name
    with_words += word && numbers && !words;
    all_words &= word && !again;
  }
  return of_numbers > 0 ? 2 * with_words > of_numbers : all_words;
}

TableReader::TableReader(const Csv& config, const Origin& origin, const ReadTableOptions& options)
    : config_(config),
      origin_(origin),
      options_(options),
      separator_(SeparatorOf(config, origin)),
      decimal_(DecimalOf(config, separator_, origin)) {}

void TableReader::Begin(const TableRoles& roles) {
  table_.roles = roles;
  MakeColumns();
}

void TableReader::Begin(CsvRows& rows) {
  CsvRow heading;
  bool headed = rows.Heading(heading);
  CsvRow row;
  while (ahead_.size() < kLookedAt && rows.Next(row)) ahead_.push_back(row);
  if (ahead_.empty())
    throw origin_.Bad("there are no rows", fmt::format("the file is named by {}.file", origin_.field));
  first_line_ = ahead_.front().line;
  if (!config_.has_header_lines()) headed = FindHeading(heading);
  const size_t columns = ahead_.front().cells.size();
  if (!headed || heading.cells.size() != columns) heading.cells.clear();
  table_.roles = MakeRoles(config_, heading.cells, columns, options_.roles, origin_);
  MakeColumns();
}

bool TableReader::saw_enough() const { return ahead_.size() + 1 >= kLookedAt; }  // the heading is one of them

void TableReader::ReadRows(CsvRows& rows) {
  for (const CsvRow& row : ahead_) AddOrTell(row, false);
  ahead_.clear();
  for (CsvRow row;;) {
    const size_t plain = plain_.Read(rows.rest(), row.cells);
    if (plain > 0) {
      rows.Pass(plain);
      row.line = rows.line();
    } else if (!rows.Next(row)) {
      break;
    }
    AddOrTell(row, plain > 0);
  }
}

RawTable TableReader::Finish() {
  broken_.ThrowIfAny();
  if (table_.rows == 0)
    throw origin_.Bad("there are no rows", fmt::format("the file is named by {}.file", origin_.field));
  return std::move(table_);
}

void TableReader::MakeColumns() {
  const TableRoles& roles = table_.roles;
  std::vector<PlainRows::Kind> kinds(roles.columns, PlainRows::Kind::kText);
  table_.features.resize(roles.features.size());
  for (size_t i = 0; i < table_.features.size(); ++i) {
    const auto column = static_cast<size_t>(roles.features[i]);
    TableValues& values = table_.features[i];
    values.name = roles.names[column];
    values.embedded = roles.embedded[i];
    values.of_words = roles.categorical[i] || values.embedded;
    if (values.of_words) continue;
    values.place = table_.width++;
    number_columns_.push_back(roles.features[i]);
    kinds[column] = PlainRows::Kind::kNumber;
  }
  table_.targets.resize(roles.targets.size());
  for (const int column : roles.targets) kinds[static_cast<size_t>(column)] = PlainRows::Kind::kNumber;
  features_.resize(table_.width);
  plain_ = PlainRows(std::move(kinds), separator_, decimal_);
}

bool TableReader::FindHeading(CsvRow& heading) {
  std::vector<std::vector<std::string_view>> cells;
  for (const CsvRow& row : ahead_) cells.push_back(row.cells);
  if (CountsColumns(cells.front()))
    throw origin_.Bad("0, 1, 2, ... look like a heading, which pandas writes over columns without names",
                      fmt::format("set {0}.header_lines: 1, or 0 where they are a sample", origin_.field),
                      std::to_string(first_line_));
  if (!HasHeading(cells, decimal_)) return false;
  heading = ahead_.front();
  ahead_.erase(ahead_.begin());
  return true;
}

/// `plain`: its numbers are those of plain_.
void TableReader::AddOrTell(const CsvRow& row, bool plain) {
  try {
    if (!plain) ReadNumbers(row);
    Add(row, plain);
  } catch (const Error& error) {
    broken_.Tell(error);
  }
}

/// The numbers of features and targets.
void TableReader::ReadNumbers(const CsvRow& row) {
  const TableRoles& roles = table_.roles;
  if (row.cells.size() != roles.columns)
    throw origin_.Bad(fmt::format("{} columns where line {} has {}", row.cells.size(), first_line_, roles.columns),
                      fmt::format("every row must have the same number; the file is named by {}.file", origin_.field),
                      std::to_string(row.line));
  read_.resize(roles.columns);
  for (size_t i = 0; i < roles.features.size(); ++i)
    if (!table_.features[i].of_words)
      read_[static_cast<size_t>(roles.features[i])] = ReadFeature(row, roles.features[i]);
  for (const int column : roles.targets) read_[static_cast<size_t>(column)] = ReadTarget(row, column);
}

/// The row counts altogether or, where it has no label, not at all.
void TableReader::Add(const CsvRow& row, bool plain) {
  const TableRoles& roles = table_.roles;
  if (roles.label >= 0) table_.label.words.push_back(ReadLabel(row));
  const std::span<const float> numbers = plain ? plain_.numbers() : read_;
  for (size_t i = 0; i < features_.size(); ++i) features_[i] = numbers[static_cast<size_t>(number_columns_[i])];
  const std::span<const std::byte> bytes = std::as_bytes(std::span(features_));
  table_.numbers.insert(table_.numbers.end(), bytes.begin(), bytes.end());
  if (features_.size() < roles.features.size())
    for (size_t i = 0; i < roles.features.size(); ++i)
      if (TableValues& values = table_.features[i]; values.of_words)
        values.words.push_back(ReadWord(TextOf(row, roles.features[i]), values.list));
  for (size_t i = 0; i < roles.targets.size(); ++i)
    table_.targets[i].targets.push_back(numbers[static_cast<size_t>(roles.targets[i])]);
  if (roles.id >= 0) table_.ids.push_back(UnquoteCell(TextOf(row, roles.id)));
  if (roles.group >= 0) table_.groups.push_back(UnquoteCell(TextOf(row, roles.group)));
  table_.lines.push_back(row.line);
  ++table_.rows;
}

/// NaN where it is missing.
float TableReader::ReadFeature(const CsvRow& row, int column) const {
  const Cell cell = ReadCell(TextOf(row, column), decimal_);
  if (cell.kind == Cell::kWord) throw NoNumber(row, column);
  if (cell.kind == Cell::kMissing && config_.missing() == Missing::FAIL)
    throw Bad(row, column, "is missing", fmt::format("fill the cell, or set {}.missing: MEAN", origin_.field));
  return cell.kind == Cell::kNumber ? cell.number : std::numeric_limits<float>::quiet_NaN();
}

float TableReader::ReadTarget(const CsvRow& row, int column) const {
  const Cell cell = ReadCell(TextOf(row, column), decimal_);
  if (cell.kind == Cell::kWord) throw NoNumber(row, column);
  if (cell.kind == Cell::kMissing)
    throw Bad(row, column, "is missing: it is a target", "fill the cell, or leave the row out");
  return cell.number;
}

/// Its number among the labels. (One that came before is not looked at again.)
int32_t TableReader::ReadLabel(const CsvRow& row) {
  const std::string_view text = TextOf(row, table_.roles.label);
  WordList& list = table_.label.list;
  if (const int32_t known = FindPlain(text, list); known >= 0) return known;
  if (text.empty() || (ReadCell(text, decimal_).kind == Cell::kMissing && text != "None" && text != "none"))
    throw Bad(row, table_.roles.label, "is missing: it is the label", "fill the cell, or leave the row out");
  return list.Add(UnquoteCell(text));
}

/// Its number in `list`; -1 where it is missing.
int32_t TableReader::ReadWord(std::string_view text, WordList& list) const {
  if (const int32_t known = FindPlain(text, list); known >= 0) return known;
  return ReadCell(text, decimal_).kind == Cell::kMissing ? -1 : list.Add(UnquoteCell(text));
}

Error TableReader::Bad(const CsvRow& row, int column, const std::string& what, const std::string& hint) const {
  return origin_.Bad(fmt::format("{}: '{}' {}", table_.roles.NameOf(column), Shown(TextOf(row, column)), what), hint,
                     std::to_string(row.line));
}

Error TableReader::NoNumber(const CsvRow& row, int column) const {
  const std::string_view text = TextOf(row, column);
  const std::string name = table_.roles.names[static_cast<size_t>(column)];
  if (LooksLikeDate(text))
    return Bad(row, column, "is a date, and not a number",
               fmt::format("turn it into a number (days since some day), or leave it out: {}.skip: \"{}\"",
                           origin_.field, name));
  if (decimal_ == '.' && text.find(',') != text.npos && ReadCell(text, ',').kind == Cell::kNumber)
    return Bad(row, column, "is not a number", fmt::format("with decimal commas set {}.decimal: \",\"", origin_.field));
  if (row.line == first_line_ && config_.has_header_lines() && config_.header_lines() == 0)
    return Bad(row, column, "is not a number",
               fmt::format("if the first line is a heading, set {}.header_lines: 1", origin_.field));
  return Bad(row, column, "is not a number",
             fmt::format("words are features with {0}.categorical: \"{1}\", none with {0}.skip: \"{1}\"", origin_.field,
                         name));
}

}  // namespace lockstep::data

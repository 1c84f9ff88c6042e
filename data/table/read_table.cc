#include "data/table/read_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/machine/cores.h"
#include "base/threads.h"
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

class TableReader {
 public:
  TableReader(std::span<const std::byte> text, const Csv& config, const Origin& origin, const ReadTableOptions& options)
      : config_(config),
        origin_(origin),
        options_(options),
        separator_(SeparatorOf(config, origin)),
        decimal_(DecimalOf(config, separator_, origin)),
        rows_(text, separator_, config.header_lines(), origin) {}

  RawTable Read() {
    Begin();
    RawTable table = ReadOn();
    if (table.rows == 0)
      throw origin_.Bad("there are no rows", fmt::format("the file is named by {}.file", origin_.field));
    return table;
  }

  /// In place of Begin, where the text is a further part of a file.
  void Begin(const TableRoles& roles) {
    table_.roles = roles;
    rows_.Expect(roles.columns);
    MakeColumns();
  }

  const TableRoles& roles() const { return table_.roles; }

  /// Reads what follows. REQUIRES: one of the Begins.
  RawTable ReadOn() {
    for (const CsvRow& row : ahead_) AddOrTell(row);
    CsvRow row;
    while (rows_.Next(row)) AddOrTell(row);
    if (first_error_) throw AllErrors();
    return std::move(table_);
  }

  /// Finds the heading, and what the columns are for.
  void Begin() {
    CsvRow heading;
    bool headed = rows_.Heading(heading);
    CsvRow row;
    while (ahead_.size() < kLookedAt && rows_.Next(row)) ahead_.push_back(row);
    if (ahead_.empty())
      throw origin_.Bad("there are no rows", fmt::format("the file is named by {}.file", origin_.field));
    first_line_ = ahead_.front().line;
    if (!config_.has_header_lines()) headed = FindHeading(heading);
    const size_t columns = ahead_.front().cells.size();
    if (!headed || heading.cells.size() != columns) heading.cells.clear();
    table_.roles = MakeRoles(config_, heading.cells, columns, options_.roles, origin_);
    MakeColumns();
  }

 private:
  void MakeColumns() {
    table_.features.resize(table_.roles.features.size());
    for (size_t i = 0; i < table_.features.size(); ++i) {
      table_.features[i].name = table_.roles.names[static_cast<size_t>(table_.roles.features[i])];
      table_.features[i].categorical = table_.roles.categorical[i];
    }
    table_.targets.resize(table_.roles.targets.size());
  }

  bool FindHeading(CsvRow& heading) {
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

  void AddOrTell(const CsvRow& row) {
    try {
      Add(row);
    } catch (const Error& error) {
      if (options_.on_broken) return options_.on_broken(error);
      ++broken_;
      if (!first_error_) first_error_ = error;
    }
  }

  /// The row counts altogether or, where it can't be read, not at all.
  void Add(const CsvRow& row) {
    const TableRoles& roles = table_.roles;
    if (row.cells.size() != roles.columns)
      throw origin_.Bad(fmt::format("{} columns where line {} has {}", row.cells.size(), first_line_, roles.columns),
                        fmt::format("every row must have the same number; the file is named by {}.file", origin_.field),
                        std::to_string(row.line));
    read_.clear();
    for (size_t i = 0; i < roles.features.size(); ++i)
      read_.push_back(roles.categorical[i] ? Cell{} : ReadFeature(row, roles.features[i]));
    for (const int column : roles.targets) read_.push_back(ReadTarget(row, column));
    if (roles.label >= 0) RequireLabel(row);

    for (size_t i = 0; i < roles.features.size(); ++i) Store(row, roles.features[i], read_[i], table_.features[i]);
    for (size_t i = 0; i < roles.targets.size(); ++i)
      table_.targets[i].numbers.push_back(read_[roles.features.size() + i].number);
    if (roles.label >= 0) table_.label.words.push_back(table_.label.list.Add(UnquoteCell(TextOf(row, roles.label))));
    if (roles.id >= 0) table_.ids.push_back(UnquoteCell(TextOf(row, roles.id)));
    if (roles.group >= 0) table_.groups.push_back(UnquoteCell(TextOf(row, roles.group)));
    table_.lines.push_back(row.line);
    ++table_.rows;
  }

  static std::string_view TextOf(const CsvRow& row, int column) { return row.cells[static_cast<size_t>(column)]; }

  Cell ReadFeature(const CsvRow& row, int column) const {
    const Cell cell = ReadCell(TextOf(row, column), decimal_);
    if (cell.kind == Cell::kWord) throw NoNumber(row, column);
    if (cell.kind == Cell::kMissing && config_.missing() == Missing::FAIL)
      throw Bad(row, column, "is missing", fmt::format("fill the cell, or set {}.missing: MEAN", origin_.field));
    return cell;
  }

  Cell ReadTarget(const CsvRow& row, int column) const {
    const Cell cell = ReadCell(TextOf(row, column), decimal_);
    if (cell.kind == Cell::kWord) throw NoNumber(row, column);
    if (cell.kind == Cell::kMissing)
      throw Bad(row, column, "is missing: it is a target", "fill the cell, or leave the row out");
    return cell;
  }

  void RequireLabel(const CsvRow& row) const {
    const std::string_view text = TextOf(row, table_.roles.label);
    if (!text.empty() && (ReadCell(text, decimal_).kind != Cell::kMissing || text == "None" || text == "none")) return;
    throw Bad(row, table_.roles.label, "is missing: it is the label", "fill the cell, or leave the row out");
  }

  void Store(const CsvRow& row, int column, const Cell& cell, TableValues& values) {
    constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
    if (!values.categorical) return values.numbers.push_back(cell.kind == Cell::kNumber ? cell.number : kNone);
    const std::string_view text = TextOf(row, column);
    const bool missing = ReadCell(text, decimal_).kind == Cell::kMissing;
    values.words.push_back(missing ? -1 : values.list.Add(text.find('"') == text.npos ? text : UnquoteCell(text)));
  }

  Error Bad(const CsvRow& row, int column, const std::string& what, const std::string& hint) const {
    return origin_.Bad(fmt::format("{}: '{}' {}", table_.roles.NameOf(column), Shown(TextOf(row, column)), what), hint,
                       std::to_string(row.line));
  }

  Error NoNumber(const CsvRow& row, int column) const {
    const std::string_view text = TextOf(row, column);
    const std::string name = table_.roles.names[static_cast<size_t>(column)];
    if (LooksLikeDate(text))
      return Bad(row, column, "is a date, and not a number",
                 fmt::format("turn it into a number (days since some day), or leave it out: {}.skip: \"{}\"",
                             origin_.field, name));
    if (decimal_ == '.' && text.find(',') != text.npos && ReadCell(text, ',').kind == Cell::kNumber)
      return Bad(row, column, "is not a number",
                 fmt::format("with decimal commas set {}.decimal: \",\"", origin_.field));
    if (row.line == first_line_ && config_.has_header_lines() && config_.header_lines() == 0)
      return Bad(row, column, "is not a number",
                 fmt::format("if the first line is a heading, set {}.header_lines: 1", origin_.field));
    return Bad(row, column, "is not a number",
               fmt::format("words are features with {0}.categorical: \"{1}\", none with {0}.skip: \"{1}\"",
                           origin_.field, name));
  }

  Error AllErrors() const {
    if (broken_ == 1) return *first_error_;
    return Error(first_error_->kind(),
                 fmt::format("{} (the first of {} rows that can't be read: lockstep data check lists them)",
                             first_error_->message(), broken_),
                 first_error_->where(), first_error_->hint());
  }

  const Csv& config_;
  const Origin& origin_;
  const ReadTableOptions& options_;
  const char separator_, decimal_;
  CsvRows rows_;
  RawTable table_;
  std::vector<CsvRow> ahead_;
  uint64_t first_line_ = 0;
  std::vector<Cell> read_;  ///< of the present row: features, then targets
  std::optional<Error> first_error_;
  uint64_t broken_ = 0;
};

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

namespace {

/// Where the parts of a text begin that threads read side by side, each at a line's beginning; the last is its end.
std::vector<size_t> CutAtLines(std::string_view text, size_t parts) {
  std::vector<size_t> cuts = {0};
  for (size_t i = 1; i < parts; ++i) {
    const size_t line_end = text.find('\n', text.size() / parts * i);
    if (line_end != text.npos && line_end + 1 > cuts.back()) cuts.push_back(line_end + 1);
  }
  cuts.push_back(text.size());
  return cuts;
}

/// One part of a file, and what became of it.
struct Part {
  std::span<const std::byte> text;
  uint64_t lines = 0;
  RawTable table = {};
  bool failed = false;
};

/// Reads a large text without quotes, where each line is a row, by several threads. Nothing where a row can't be read:
/// then the text is read in order, so that its errors are told in order.
std::optional<RawTable> ReadInParts(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                                    const ReadTableOptions& options) {
  const std::string_view letters(reinterpret_cast<const char*>(text.data()), text.size());
  const std::vector<size_t> cuts = CutAtLines(letters, static_cast<size_t>(std::clamp(QueryCores().usable, 1, 8)));
  std::vector<Part> parts;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) parts.push_back({.text = text.subspan(cuts[i], cuts[i + 1] - cuts[i])});
  Csv further = config;
  further.set_header_lines(0);
  TableReader first(parts.front().text, config, origin, options);
  first.Begin();
  const TableRoles roles = first.roles();
  const auto read = [&](Part& part) noexcept {
    try {
      part.lines = static_cast<uint64_t>(std::count(part.text.begin(), part.text.end(), std::byte{'\n'}));
      if (&part == &parts.front()) {
        part.table = first.ReadOn();
      } else {
        TableReader reader(part.text, further, origin, options);
        reader.Begin(roles);
        part.table = reader.ReadOn();
      }
    } catch (const std::exception&) {
      part.failed = true;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < parts.size(); ++i) threads.push_back(StartThread("table", [&, i] { read(parts[i]); }));
  read(parts.front());
  for (std::thread& thread : threads) thread.join();
  RawTable table = std::move(parts.front().table);
  uint64_t line = 1 + parts.front().lines;
  for (const Part& part : parts)
    if (part.failed) return std::nullopt;
  for (size_t i = 1; i < parts.size(); ++i) {
    Append(parts[i].table, line, table);
    line += parts[i].lines;
  }
  return table;
}

}  // namespace

RawTable ReadTable(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                   const ReadTableOptions& options) {
  constexpr size_t kWorthThreads = size_t{4} << 20;
  const bool lines_are_rows = std::find(text.begin(), text.end(), std::byte{'"'}) == text.end() &&
                              std::find(text.begin(), text.end(), std::byte{'\n'}) != text.end();
  if (text.size() >= kWorthThreads && lines_are_rows && !options.on_broken)
    if (std::optional<RawTable> table = ReadInParts(text, config, origin, options)) return std::move(*table);
  return TableReader(text, config, origin, options).Read();
}

}  // namespace lockstep::data

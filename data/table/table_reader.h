// From rows of CSV to a table, text by text: a small file at once, a large one in blocks.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/table/broken_rows.h"
#include "data/table/csv_rows.h"
#include "data/table/plain_rows.h"
#include "data/table/table.h"

namespace lockstep::data {

struct ReadTableOptions {
  RoleOptions roles = {};
  /// Where given, it is told of each row that can't be read, which is left out. Otherwise the first one is thrown, with
  /// a count of all.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// The character between columns, as the recipe says.
char SeparatorOf(const Csv& config, const Origin& origin);

/// Whether the first of `rows` is a heading: it has words above most columns of numbers; or, where no column is of
/// numbers, words that don't come again below them.
bool HasHeading(std::span<const std::vector<std::string_view>> rows, char decimal);

/// A table that grows. Begin is called first, then ReadRows, then Finish.
class TableReader {
 public:
  /// All of them outlive it.
  TableReader(const Csv& config, const Origin& origin, const ReadTableOptions& options);

  /// Finds the heading, and what the columns are for, by the first rows of a file. They are kept for ReadRows, and
  /// with them views of the text.
  void Begin(CsvRows& rows);
  /// Where they are known.
  void Begin(const TableRoles& roles);
  /// Makes room for so many rows.
  void Expect(uint64_t rows) { Reserve(rows, table_); }
  /// Reads what is left of `rows`.
  void ReadRows(CsvRows& rows);
  /// All that was read. Throws Error(kData) for the first row that could not be, with a count of all.
  RawTable Finish();

  const TableRoles& roles() const { return table_.roles; }
  /// Whether Begin saw as many rows as it looks at: then a longer text would have told the same.
  bool saw_enough() const;

 private:
  void MakeColumns();
  bool FindHeading(CsvRow& heading);
  void AddOrTell(const CsvRow& row, bool plain);
  void ReadNumbers(const CsvRow& row);
  void Add(const CsvRow& row, bool plain);
  static std::string_view TextOf(const CsvRow& row, int column) { return row.cells[static_cast<size_t>(column)]; }
  float ReadFeature(const CsvRow& row, int column) const;
  float ReadTarget(const CsvRow& row, int column) const;
  int32_t ReadLabel(const CsvRow& row);
  int32_t ReadWord(std::string_view text, WordList& list) const;
  Error Bad(const CsvRow& row, int column, const std::string& what, const std::string& hint) const;
  Error NoNumber(const CsvRow& row, int column) const;

  const Csv& config_;
  const Origin& origin_;
  const ReadTableOptions& options_;
  const char separator_, decimal_;
  RawTable table_;
  std::vector<CsvRow> ahead_;
  uint64_t first_line_ = 0;
  PlainRows plain_;
  std::vector<int> number_columns_;  ///< of the features that are numbers
  std::vector<float> read_;          ///< numbers of the present row, by column
  std::vector<float> features_;      ///< those of the features
  BrokenRows broken_{options_.on_broken};
};

}  // namespace lockstep::data

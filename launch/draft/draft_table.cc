#include "launch/draft/draft_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "data/table/inspect_table.h"

namespace lockstep::launch {
namespace {

using data::InspectedColumn;
using data::InspectedTable;

/// Columns that people call so are what is to be learned.
constexpr const char* kAnswerNames[] = {"target",    "label",  "class",   "y",      "species",
                                        "diagnosis", "output", "outcome", "labels", "target_name"};
constexpr size_t kMostClasses = 100;
constexpr size_t kMostWords = 100;  // of a categorical column

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string Percent(uint64_t part, uint64_t all) {
  return fmt::format("{:.2g} %", 100.0 * static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(all, 1)));
}

/// A power of two that leaves a dozen steps and more an epoch.
uint64_t Batch(double trained) {
  uint64_t batch = 1;
  while (batch < 512 && static_cast<double>(batch) * 24 <= trained) batch *= 2;
  return batch;
}

class TableDrafter {
 public:
  TableDrafter(std::span<const std::byte> text, const DraftOptions& options)
      : options_(options), table_(data::InspectTable(text, {options.path, "FILE"})) {}

  Draft Make() {
    FindAnswers();
    SortColumns();
    const std::string file = std::filesystem::path(options_.path).filename().string();
    draft_.recipe = DraftHead(fmt::format("Written by lockstep new for {}: {} rows of {} columns.", file, table_.rows,
                                          table_.columns.size()));
    draft_.recipe += fmt::format("name: {}\n\n", Quoted(options_.name));
    AddData();
    draft_.recipe += ModelOfRows(static_cast<uint64_t>(table_.rows));
    draft_.answer = fmt::format("predict {{run}} {} --out answers.csv", options_.path);
    if (table_.ragged > 0)
      draft_.notes.push_back(
          fmt::format("{} rows have another number of columns: lockstep data check names them", table_.ragged));
    return std::move(draft_);
  }

 private:
  const InspectedColumn& At(size_t column) const { return table_.columns[column]; }

  size_t Require(const std::string& name, const char* option) const {
    for (size_t i = 0; i < table_.columns.size(); ++i)
      if (At(i).name == name) return i;
    std::vector<std::string> names;
    for (const InspectedColumn& column : table_.columns) names.push_back(column.name);
    throw Error(ErrorKind::kUsage, fmt::format("{} has no column \"{}\"", options_.path, name), option,
                fmt::format("it has {}", fmt::join(names, ", ")));
  }

  /// What is to be learned: what was asked for, else a column that is called so, else the last.
  void FindAnswers() {
    for (const std::string& target : options_.targets) answers_.push_back(Require(target, "--target"));
    if (!options_.label.empty()) answers_.push_back(Require(options_.label, "--label"));
    if (answers_.empty()) {
      size_t found = table_.columns.size() - 1;
      for (size_t i = table_.columns.size(); i-- > 0;)
        for (const char* name : kAnswerNames)
          if (Lower(At(i).name) == name) found = i;
      answers_.push_back(found);
      guessed_ = true;
    }
    classes_ = !options_.label.empty() || (options_.targets.empty() && LooksLikeClasses(At(answers_[0])));
    if (options_.task == "classification") classes_ = true;
    if (options_.task == "regression") classes_ = false;
    for (const size_t answer : answers_) CheckAnswer(At(answer));
  }

  static bool LooksLikeClasses(const InspectedColumn& column) {
    if (column.words > 0) return true;
    constexpr size_t kFew = 20;
    return column.integers && !column.many && column.counts.size() <= kFew;
  }

  void CheckAnswer(const InspectedColumn& column) const {
    const char* const option = classes_ ? "--label" : "--target";
    const std::string hint = "name another column: --label COLUMN of a class, --target COLUMN of a value";
    if (classes_ && (column.many || column.counts.size() > kMostClasses))
      throw Error(ErrorKind::kUsage,
                  fmt::format("column \"{}\" has {}{} different values: too many for classes", column.name,
                              column.many ? "more than " : "", column.counts.size()),
                  option, hint);
    if (!classes_ && column.words > 0)
      throw Error(ErrorKind::kUsage, fmt::format("column \"{}\" holds words, and no values", column.name), option,
                  hint);
    if (column.counts.size() < 2)
      throw Error(ErrorKind::kUsage, fmt::format("column \"{}\" is the same in all rows", column.name), option, hint);
  }

  /// Which columns are features, and what becomes of the others.
  void SortColumns() {
    for (size_t i = 0; i < table_.columns.size(); ++i) {
      const InspectedColumn& column = At(i);
      if (std::count(answers_.begin(), answers_.end(), i) > 0) continue;
      const bool unnamed = table_.heading && (column.name.empty() || column.name == "Unnamed: 0");
      if (i == 0 && unnamed) continue;  // pandas' index, which is left out anyway
      if (column.dates > 0 || column.missing == column.rows()) {
        skipped_.push_back({fmt::format("skip: {}", Quoted(column.name)),
                            column.dates > 0 ? "dates, which are no numbers" : "all of it is missing"});
      } else if (column.words > 0) {
        AddWords(column);
      } else if (IsId(i)) {
        id_ = column.name;
      } else {
        ++features_;
        missing_ += column.missing;
      }
    }
  }

  void AddWords(const InspectedColumn& column) {
    if (column.numbers > column.words)
      return skipped_.push_back({fmt::format("skip: {}", Quoted(column.name)),
                                 fmt::format("numbers, but {} words among them", column.words)});
    if (column.many || column.counts.size() > column.words / 2)
      return skipped_.push_back(
          {fmt::format("skip: {}", Quoted(column.name)), "text, or names: nearly every row has its own"});
    if (column.counts.size() > kMostWords) return embedded_.push_back(&column);
    categorical_.push_back({fmt::format("categorical: {}", Quoted(column.name)),
                            fmt::format("{} words, each a feature", column.counts.size())});
    features_ += column.counts.size();
  }

  /// A column that numbers the rows.
  bool IsId(size_t i) const {
    const InspectedColumn& column = At(i);
    const std::string name = Lower(column.name);
    const bool called = name == "id" || name == "index" || name.ends_with("_id");
    const bool counts = column.integers && column.increasing && column.missing == 0 && column.rows() > 2;
    const bool by_one = counts && column.most - column.least + 1 == static_cast<double>(column.rows());
    return id_.empty() && counts && (called || (by_one && i == 0));
  }

  std::string AnswerText() const {
    const InspectedColumn& column = At(answers_[0]);
    if (!classes_) return fmt::format("values from {:.4g} to {:.4g}", column.least, column.most);
    constexpr size_t kMostNamed = 6;
    std::vector<std::string> parts;
    for (const auto& [word, count] : column.counts)
      if (parts.size() < kMostNamed) parts.push_back(fmt::format("{} ({} rows)", word, count));
    return fmt::format("{} classes: {}{}", column.counts.size(), fmt::join(parts, ", "),
                       parts.size() < column.counts.size() ? ", ..." : "");
  }

  void AddData() {
    std::vector<DraftLine> csv = {{fmt::format("file: {}", PathIn(options_.folder, options_.path))}};
    if (table_.separator != ',')
      csv.push_back({fmt::format("separator: {}", Quoted(std::string(1, table_.separator))), "between columns"});
    if (table_.decimal != '.') csv.push_back({"decimal: \",\"", "0,5 is a half"});
    csv.push_back(table_.heading ? DraftLine{"header_lines: 1", "the first line names the columns"}
                                 : DraftLine{"header_lines: 0", "columns have numbers, from 0"});
    for (const size_t answer : answers_) {
      std::string why = AnswerText();
      if (guessed_) why += "; --label or --target of lockstep new chooses another";
      csv.push_back({fmt::format("{}: {}", classes_ ? "label" : "targets", Quoted(At(answer).name)), why});
    }
    if (!id_.empty())
      csv.push_back({fmt::format("id: {}", Quoted(id_)), "it numbers the rows: kept in answers, never a feature"});
    csv.insert(csv.end(), categorical_.begin(), categorical_.end());
    for (const InspectedColumn* column : embedded_)
      csv.push_back(features_ > 0 ? DraftLine{fmt::format("embedded: {}", Quoted(column->name)),
                                              fmt::format("{} words, for each of which numbers are learned",
                                                          column->counts.size())}
                                  : DraftLine{fmt::format("categorical: {}", Quoted(column->name)),
                                              fmt::format("{} words, each a feature", column->counts.size())});
    csv.insert(csv.end(), skipped_.begin(), skipped_.end());
    if (missing_ > 0)
      csv.push_back(
          {"missing: MEDIAN", fmt::format("{} cells are empty ({}): the column's median over the training rows",
                                          missing_, Percent(missing_, table_.rows * features_))});
    draft_.recipe += "data {\n  train {\n    csv {\n" + Lay(csv, 6) + "    }\n  }\n";
    draft_.recipe += Lay({{"split { test: 0.2 }", classes_ ? "a fifth of the rows of each class is kept to test on"
                                                           : "a fifth of the rows is kept to test on"},
                          {"normalize { auto {} }", "columns get mean 0 and deviation 1, by the training rows"}},
                         2);
    draft_.recipe += "}\n\n";
  }

  const DraftOptions& options_;
  const InspectedTable table_;
  Draft draft_;
  std::vector<size_t> answers_;
  bool guessed_ = false, classes_ = false;
  std::vector<DraftLine> categorical_, skipped_;
  std::vector<const InspectedColumn*> embedded_;  ///< of more words than one feature each is good for
  std::string id_;
  uint64_t features_ = 0, missing_ = 0;
};

}  // namespace

// Sizes that were tried on scikit-learn's tables (tests/launch/draft/compare_sklearn.py).
std::string ModelOfRows(uint64_t rows) {
  const double trained = 0.8 * static_cast<double>(rows);
  const bool few = trained < 2000;
  const uint64_t batch = Batch(trained);
  const double wanted_steps = few ? 3000 : 6000;
  const auto epochs =
      static_cast<uint64_t>(std::clamp(std::ceil(wanted_steps * static_cast<double>(batch) / trained), 5.0, 300.0));
  std::string text = "model {\n";
  text += Lay({{few ? "mlp { hidden: 100 dropout: 0.1 }" : "mlp { hidden: [128, 64] dropout: 0.1 }",
                few ? "few rows: one layer, and dropout against learning them by heart"
                    : "two layers; wider ones for more rows"}},
              2);
  text += "}\n\ntrain {\n";
  text += Lay({{fmt::format("epochs: {}", epochs), "passes over the training rows"},
               {fmt::format("global_batch: {}", batch), "rows of a step, all ranks together"},
               {"seed: 1", "another seed, another run"}},
              2);
  text += "}\n\noptimizer {\n";
  text += Lay({{"adamw {}"},
               {"learning_rate: 1e-3"},
               {"weight_decay: 0.01"},
               {"schedule { cosine {} warmup_fraction: 0.05 }", "the rate falls to 0 at the end"}},
              2);
  return text + "}\n";
}

Draft DraftTable(std::span<const std::byte> text, const DraftOptions& options) {
  return TableDrafter(text, options).Make();
}

}  // namespace lockstep::launch

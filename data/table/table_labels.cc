#include "data/table/table_labels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "data/table/broken_rows.h"
#include "data/table/cell.h"

namespace lockstep::data {
namespace {

/// More classes than this are a wrong column, not classes.
constexpr double kMostClasses = 1 << 20;
/// Of names: each has an output of the model, and should have samples.
constexpr size_t kMostNames = 10000;

/// The number that a label is; booleans and words are none.
std::optional<double> NumberOf(const std::string& word) {
  const Cell cell = ReadCell(word);
  const bool digits = word.find_first_of("0123456789") != std::string::npos;
  return cell.kind == Cell::kNumber && digits ? std::optional<double>(cell.number) : std::nullopt;
}

class LabelSettler {
 public:
  LabelSettler(const RawTable& table, const LabelOptions& options, const Origin& origin)
      : table_(table), options_(options), origin_(origin), words_(table.label.list.words()) {
    for (const std::string& word : words_) numbers_.push_back(NumberOf(word));
  }

  TableLabels Settle() {
    std::vector<std::string> names = options_.class_names;
    if (names.empty() && !AreClasses()) names = FindNames();
    std::vector<int32_t> class_of;  // by word; -1: none
    for (size_t word = 0; word < words_.size(); ++word)
      class_of.push_back(names.empty() ? ClassOfNumber(word) : ClassOfName(word, names));

    TableLabels labels{.values = {}, .classes = static_cast<int>(names.size()), .names = names};
    for (uint64_t row = 0; row < table_.rows; ++row) {
      const auto word = static_cast<size_t>(table_.label.words[row]);
      if (class_of[word] < 0) broken_.Tell(BadLabel(row, word, names));
      labels.values.push_back(class_of[word]);
      if (names.empty()) labels.classes = std::max(labels.classes, class_of[word] + 1);
    }
    if (names.empty() && options_.classes > 0) labels.classes = options_.classes;
    broken_.ThrowIfAny();
    return labels;
  }

 private:
  bool IsInteger(size_t word) const { return numbers_[word] && *numbers_[word] == std::floor(*numbers_[word]); }

  /// How many rows have such a label.
  template <typename Is>
  uint64_t CountRows(const Is& is) const {
    uint64_t rows = 0;
    for (const int32_t word : table_.label.words) rows += is(static_cast<size_t>(word));
    return rows;
  }

  /// Whether labels are numbers of classes, or meant to be: most rows have one.
  bool AreClasses() const {
    if (options_.classes > 0) return true;
    const uint64_t integers = CountRows([&](size_t word) { return IsInteger(word); });
    const uint64_t words = CountRows([&](size_t word) { return !numbers_[word].has_value(); });
    if (words > table_.rows / 2) return false;
    const bool only_integers = integers == table_.rows;
    const bool negative = std::any_of(numbers_.begin(), numbers_.end(), [](const auto& n) { return n && *n < 0; });
    constexpr size_t kMostNumbers = 1000;
    return !(only_integers && negative && words_.size() <= kMostNumbers);
  }

  std::vector<std::string> FindNames() const {
    std::vector<size_t> order(words_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    if (words_.size() > kMostNames)
      throw origin_.Bad(
          fmt::format("{} has {} different words, which can't be classes",
                      options_.named.empty() ? table_.roles.NameOf(table_.roles.label) : "the array", words_.size()),
          options_.hint.empty() ? fmt::format("name the column of the class: {}.label", origin_.field) : options_.hint);
    const bool words = std::any_of(numbers_.begin(), numbers_.end(), [](const auto& n) { return !n.has_value(); });
    std::erase_if(order, [&](size_t word) { return words && numbers_[word].has_value() && FewAreNumbers(); });
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      if (words || *numbers_[a] == *numbers_[b]) return words_[a] < words_[b];
      return *numbers_[a] < *numbers_[b];
    });
    std::vector<std::string> names;
    for (const size_t word : order) names.push_back(words_[word]);
    return names;
  }

  /// Whether numbers among words are rather mistakes than names.
  bool FewAreNumbers() const {
    return CountRows([&](size_t word) { return numbers_[word].has_value(); }) <= table_.rows / 100;
  }

  int32_t ClassOfNumber(size_t word) const {
    const double most = options_.classes > 0 ? options_.classes : kMostClasses;
    return IsInteger(word) && *numbers_[word] >= 0 && *numbers_[word] < most ? static_cast<int32_t>(*numbers_[word])
                                                                             : -1;
  }

  int32_t ClassOfName(size_t word, const std::vector<std::string>& names) const {
    auto found = std::find(names.begin(), names.end(), words_[word]);
    if (found == names.end() && numbers_[word])  // 1.0 is 1
      found =
          std::find_if(names.begin(), names.end(), [&](const auto& name) { return NumberOf(name) == numbers_[word]; });
    return found == names.end() ? -1 : static_cast<int32_t>(found - names.begin());
  }

  Error BadLabel(uint64_t row, size_t word, const std::vector<std::string>& names) const {
    constexpr size_t kMostShown = 40, kMostNamed = 10;
    const double most = options_.classes > 0 ? options_.classes : kMostClasses;
    std::string wanted = fmt::format("a class label, an integer from 0 to {}", most - 1);
    std::string hint = options_.hint;
    if (hint.empty())
      hint = fmt::format("the file is named by {}.file, its label by {}.label", origin_.field, origin_.field);
    if (!names.empty()) {
      const auto named = std::span(names).first(std::min(kMostNamed, names.size()));
      wanted =
          fmt::format("a class: those are {}{}", fmt::join(named, ", "), named.size() < names.size() ? ", ..." : "");
      hint = "correct the label, train on data that has the class, or list all in data.class_names";
    }
    const std::string line = std::to_string(table_.lines[row]);
    const std::string message = fmt::format("'{}' is not {}", words_[word].substr(0, kMostShown), wanted);
    if (!options_.named.empty())
      return origin_.Bad(fmt::format("{} {} (from 0): {}", options_.named, line, message), hint);
    return origin_.Bad(fmt::format("{}: {}", table_.roles.NameOf(table_.roles.label), message), hint, line);
  }

  const RawTable& table_;
  const LabelOptions& options_;
  const Origin& origin_;
  const std::vector<std::string>& words_;
  std::vector<std::optional<double>> numbers_;  ///< by word
  BrokenRows broken_{options_.on_broken};
};

}  // namespace

TableLabels SettleLabels(const RawTable& table, const LabelOptions& options, const Origin& origin) {
  if (table.roles.label < 0) return {};
  return LabelSettler(table, options, origin).Settle();
}

}  // namespace lockstep::data

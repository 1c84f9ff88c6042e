#include "data/table/table_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace lockstep::data {
namespace {

constexpr size_t kMostWords = 1000;
/// Of a column that is embedded: they all stand in the recipe.
constexpr size_t kMostEmbedded = 100000;

Error NoValues(const Origin& origin, const std::string& name) {
  return origin.Bad(fmt::format("column \"{}\" has no value in any row that is trained on", name),
                    fmt::format("leave it out: {}.skip: \"{}\"", origin.field, name));
}

void DescribeWords(const TableValues& values, std::span<const uint8_t> trained, const Origin& origin,
                   TableColumn& column) {
  std::vector<bool> seen(values.list.words().size());
  for (size_t row = 0; row < trained.size(); ++row)
    if (trained[row] != 0 && values.words[row] >= 0) seen[static_cast<size_t>(values.words[row])] = true;
  std::vector<std::string> words;
  for (size_t word = 0; word < seen.size(); ++word)
    if (seen[word]) words.push_back(values.list.words()[word]);
  if (words.empty()) throw NoValues(origin, values.name);
  const size_t most = values.embedded ? kMostEmbedded : kMostWords;
  if (words.size() > most)
    throw origin.Bad(
        fmt::format("column \"{}\" has {} different words, which is more than {}", values.name, words.size(), most),
        fmt::format(
            "leave it out: {0}.skip: \"{1}\"{2}", origin.field, values.name,
            values.embedded ? "" : fmt::format(", or embed it: {}.embedded: \"{}\"", origin.field, values.name)));
  column.set_embedded(values.embedded);
  std::sort(words.begin(), words.end());
  column.mutable_values()->Assign(words.begin(), words.end());
}

void DescribeNumbers(const RawTable& table, const TableValues& values, Missing::Value missing,
                     std::span<const uint8_t> trained, const Origin& origin, TableColumn& column) {
  if (missing == Missing::FAIL) return;
  std::vector<float> numbers;
  bool gaps = false;
  for (size_t row = 0; row < trained.size(); ++row) {
    if (trained[row] == 0) continue;
    const float number = table.NumbersOf(row)[values.place];
    gaps |= std::isnan(number);
    if (!std::isnan(number)) numbers.push_back(number);
  }
  column.set_fill(0);
  if (missing == Missing::ZERO_AND_FLAG) return column.set_flag(gaps);
  if (numbers.empty()) throw NoValues(origin, values.name);
  if (missing == Missing::MEAN) {
    double sum = 0;
    for (const float number : numbers) sum += number;
    return column.set_fill(sum / static_cast<double>(numbers.size()));
  }
  std::sort(numbers.begin(), numbers.end());
  const size_t half = numbers.size() / 2;
  column.set_fill(numbers.size() % 2 == 1 ? numbers[half] : (double{numbers[half - 1]} + numbers[half]) / 2);
}

}  // namespace

Table DescribeColumns(const RawTable& table, const Csv& config, std::span<const uint8_t> trained,
                      const Origin& origin) {
  Table described;
  for (const TableValues& values : table.features) {
    TableColumn& column = *described.add_columns();
    column.set_name(values.name);
    if (values.of_words) {
      DescribeWords(values, trained, origin, column);
    } else {
      DescribeNumbers(table, values, config.missing(), trained, origin, column);
    }
  }
  return described;
}

}  // namespace lockstep::data

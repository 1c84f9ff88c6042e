#include "data/table/table.h"

namespace lockstep::data {

int32_t WordList::Find(std::string_view word) const {
  const auto found = numbers_.find(word);
  return found == numbers_.end() ? -1 : found->second;
}

int32_t WordList::Add(std::string_view word) {
  if (const int32_t known = Find(word); known >= 0) return known;
  const auto number = static_cast<int32_t>(words_.size());
  words_.emplace_back(word);
  numbers_.emplace(words_.back(), number);
  return number;
}

namespace {

template <typename T>
void AppendAll(const std::vector<T>& more, std::vector<T>& values) {
  values.insert(values.end(), more.begin(), more.end());
}

void AppendValues(const TableValues& more, TableValues& values) {
  AppendAll(more.targets, values.targets);
  std::vector<int32_t> numbers;  // of the words here
  for (const std::string& word : more.list.words()) numbers.push_back(values.list.Add(word));
  for (const int32_t word : more.words) values.words.push_back(word < 0 ? word : numbers[static_cast<size_t>(word)]);
}

}  // namespace

void Reserve(uint64_t rows, RawTable& table) {
  table.lines.reserve(rows);
  table.numbers.reserve(rows * table.width * sizeof(float));
  if (table.roles.label >= 0) table.label.words.reserve(rows);
  for (TableValues& target : table.targets) target.targets.reserve(rows);
  for (TableValues& feature : table.features)
    if (feature.of_words) feature.words.reserve(rows);
}

void Append(const RawTable& more, uint64_t lines, RawTable& table) {
  for (size_t i = 0; i < table.features.size(); ++i) AppendValues(more.features[i], table.features[i]);
  for (size_t i = 0; i < table.targets.size(); ++i) AppendValues(more.targets[i], table.targets[i]);
  AppendValues(more.label, table.label);
  AppendAll(more.numbers, table.numbers);
  AppendAll(more.ids, table.ids);
  AppendAll(more.groups, table.groups);
  for (const uint64_t line : more.lines) table.lines.push_back(lines + line);
  table.rows += more.rows;
}

}  // namespace lockstep::data

#include "data/table/csv.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "data/table/read_table.h"
#include "data/table/table_columns.h"
#include "data/table/table_labels.h"

namespace lockstep::data {
namespace {

Shape FeatureShape(const Csv& config, uint64_t features, const Origin& origin) {
  if (!config.has_image()) return Shape{static_cast<int64_t>(features)};
  const ImageShape& image = config.image();
  const uint64_t channels = image.channels() == 0 ? 1 : image.channels();
  uint64_t pixels = 0;
  const bool overflow = __builtin_mul_overflow(uint64_t{image.height()} * image.width(), channels, &pixels);
  if (overflow || pixels != features) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} x {} x {} values don't match the {} feature columns of {}", image.height(),
                            image.width(), channels, features, origin.path),
                origin.field + ".image");
  }
  return Shape{image.height(), image.width(), static_cast<int64_t>(channels)};
}

Column FloatColumn(const char* name, Shape shape, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {{name, DType::kF32, shape}, {bytes.begin(), bytes.end()}};
}

/// Writes one feature of all rows, `stride` apart.
template <typename Value>
void WriteFeature(std::span<const uint64_t> rows, size_t stride, float* output, const Value& value) {
  for (const uint64_t row : rows) {
    *output = value(row);
    output += stride;
  }
}

uint64_t WidthOf(const Table& table) {
  uint64_t width = 0;
  for (const TableColumn& column : table.columns())
    width += column.values_size() > 0 ? static_cast<uint64_t>(column.values_size()) : (column.flag() ? 2 : 1);
  return width;
}

/// The features that `column` makes of `values`; returns where the next ones begin.
float* WriteColumn(const TableValues& values, const TableColumn& column, std::span<const uint64_t> rows, size_t stride,
                   float* output) {
  if (column.values_size() == 0) {
    const auto fill = static_cast<float>(column.fill());
    WriteFeature(rows, stride, output++,
                 [&](uint64_t row) { return std::isnan(values.numbers[row]) ? fill : values.numbers[row]; });
    if (column.flag())
      WriteFeature(rows, stride, output++, [&](uint64_t row) { return std::isnan(values.numbers[row]) ? 1.0f : 0.0f; });
    return output;
  }
  for (const std::string& word : column.values()) {
    const auto& words = values.list.words();
    const auto number = static_cast<int32_t>(std::find(words.begin(), words.end(), word) - words.begin());
    WriteFeature(rows, stride, output++, [&](uint64_t row) { return values.words[row] == number ? 1.0f : 0.0f; });
  }
  return output;
}

/// Features, column by column.
std::vector<float> MakeFeatures(const RawTable& raw, const Table& table, std::span<const uint64_t> rows, size_t width) {
  std::vector<float> features(rows.size() * width);
  float* output = features.data();
  for (size_t i = 0; i < raw.features.size(); ++i)
    output = WriteColumn(raw.features[i], table.columns(static_cast<int>(i)), rows, width, output);
  return features;
}

std::vector<float> MakeTargets(const RawTable& raw, std::span<const uint64_t> rows) {
  std::vector<float> targets(rows.size() * raw.targets.size());
  for (size_t i = 0; i < raw.targets.size(); ++i)
    WriteFeature(rows, raw.targets.size(), targets.data() + i,
                 [&](uint64_t row) { return raw.targets[i].numbers[row]; });
  return targets;
}

template <typename T>
std::vector<T> Pick(const std::vector<T>& values, std::span<const uint64_t> rows) {
  std::vector<T> picked;
  if (values.empty()) return picked;
  for (const uint64_t row : rows) picked.push_back(values[row]);
  return picked;
}

/// Whether files without headings, of numbers alone, say all of it themselves.
bool NothingToSay(const RawTable& raw, const Table& table) {
  if (raw.roles.headings) return false;
  return std::all_of(table.columns().begin(), table.columns().end(),
                     [](const TableColumn& column) { return column.values_size() == 0 && !column.has_fill(); });
}

}  // namespace

Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin, const CsvOptions& options) {
  const bool label = config.has_label_column() || !config.label().empty();
  const bool targets = config.target_columns_size() + config.targets_size() > 0;
  if (label && targets)
    throw Error(ErrorKind::kUsage, "there are targets as well",
                origin.field + (config.label().empty() ? ".label_column" : ".label"),
                "samples have a label or targets: remove one");
  const RawTable raw =
      ReadTable(text, config, origin,
                {.roles = {options.table, options.group, options.unlabeled}, .on_broken = options.on_broken});
  const TableLabels labels = SettleLabels(raw, {options.classes, options.class_names, options.on_broken}, origin);
  std::vector<uint64_t> rows;
  for (uint64_t row = 0; row < raw.rows; ++row)
    if (labels.values.empty() || labels.values[row] >= 0) rows.push_back(row);

  Records records{.format = "csv 1", .size = rows.size(), .classes = labels.classes, .class_names = labels.names};
  records.groups = Pick(raw.groups, rows);
  records.names = Pick(raw.ids, rows);
  const std::vector<int32_t> kept_labels = Pick(labels.values, rows);
  Table table;
  if (options.table != nullptr && options.table->columns_size() > 0) {
    table = *options.table;
  } else {
    std::vector<uint8_t> trained(rows.size(), 1);
    if (options.trained) trained = options.trained(rows.size(), kept_labels, records.groups);
    std::vector<uint8_t> of_all(raw.rows);
    for (size_t i = 0; i < rows.size(); ++i) of_all[rows[i]] = trained[i];
    table = DescribeColumns(raw, config, of_all, origin);
  }
  if (!NothingToSay(raw, table)) records.table = std::make_shared<Table>(table);

  const uint64_t width = WidthOf(table);
  const char* const name = config.has_image() ? "image" : "features";
  records.columns.push_back(
      FloatColumn(name, FeatureShape(config, width, origin), MakeFeatures(raw, table, rows, width)));
  if (!raw.targets.empty())
    records.columns.push_back(
        FloatColumn("target", Shape{static_cast<int64_t>(raw.targets.size())}, MakeTargets(raw, rows)));
  if (raw.roles.label >= 0) records.columns.push_back(LabelColumn(kept_labels));
  return records;
}

}  // namespace lockstep::data

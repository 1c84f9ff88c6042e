#include "data/table/csv.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
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

/// How many features a column is.
size_t WidthOf(const TableColumn& column) {
  if (column.embedded()) return 0;
  return column.values_size() > 0 ? static_cast<size_t>(column.values_size()) : column.flag() ? 2 : 1;
}

size_t WidthOf(const Table& table, const Origin& origin) {
  size_t width = 0;
  for (const TableColumn& column : table.columns()) width += WidthOf(column);
  if (width == 0)
    throw Error(ErrorKind::kUsage, "all columns are embedded, and no feature is left", origin.field + ".embedded",
                "make one of them categorical, or add a column of numbers");
  return width;
}

/// By number in `words`: the place among the column's words, -1 where the training rows have none such.
std::vector<int32_t> FindWords(const std::vector<std::string>& words, const TableColumn& column) {
  std::unordered_map<std::string_view, int32_t> places;
  for (int i = 0; i < column.values_size(); ++i) places.emplace(column.values(i), i);
  std::vector<int32_t> found;
  for (const std::string& word : words) {
    const auto place = places.find(word);
    found.push_back(place == places.end() ? -1 : place->second);
  }
  return found;
}

/// How a column becomes features.
class ColumnWriter {
 public:
  ColumnWriter(const RawTable& table, const TableValues& values, const TableColumn& column)
      : table_(table),
        values_(values),
        words_(column.values_size() > 0),
        flag_(column.flag()),
        fill_(static_cast<float>(column.fill())),
        width_(WidthOf(column)) {
    if (words_) feature_of_ = FindWords(values.list.words(), column);
  }

  size_t width() const { return width_; }

  /// `output` is all 0: rows, `stride` apart.
  void Write(std::span<const uint64_t> rows, size_t stride, float* output) const {
    for (const uint64_t row : rows) {
      if (words_) {
        const int32_t word = values_.words[row];
        const int32_t feature = word < 0 ? -1 : feature_of_[static_cast<size_t>(word)];
        if (feature >= 0) output[feature] = 1;
      } else {
        const float number = table_.NumbersOf(row)[values_.place];
        output[0] = std::isnan(number) ? fill_ : number;
        if (flag_) output[1] = std::isnan(number) ? 1.0f : 0.0f;
      }
      output += stride;
    }
  }

 private:
  const RawTable& table_;
  const TableValues& values_;
  const bool words_, flag_;
  const float fill_;
  const size_t width_;
  std::vector<int32_t> feature_of_;  ///< by word; -1: none that was trained on
};

/// Whether features are the table's numbers as they stand there.
bool AreNumbers(const RawTable& raw, const Csv& config, const Table& table, size_t rows) {
  return rows == raw.rows && raw.width == raw.features.size() && config.missing() == Missing::FAIL &&
         std::none_of(table.columns().begin(), table.columns().end(),
                      [](const TableColumn& column) { return column.has_fill() || column.flag(); });
}

/// Column by column, of rows that are few enough to stay in the cache.
Column MakeFeatures(RawTable& raw, const Csv& config, const Table& table, std::span<const uint64_t> rows,
                    size_t width) {
  if (AreNumbers(raw, config, table, rows.size())) return {{}, std::move(raw.numbers)};
  constexpr size_t kAtOnce = 256;
  std::vector<ColumnWriter> writers;
  for (size_t i = 0; i < raw.features.size(); ++i)
    if (!raw.features[i].embedded) writers.emplace_back(raw, raw.features[i], table.columns(static_cast<int>(i)));
  Column features;
  features.bytes.resize(rows.size() * width * sizeof(float));
  auto* const values = reinterpret_cast<float*>(features.bytes.data());
  for (size_t first = 0; first < rows.size(); first += kAtOnce) {
    const std::span<const uint64_t> part = rows.subspan(first, std::min(kAtOnce, rows.size() - first));
    float* output = values + first * width;
    for (const ColumnWriter& writer : writers) {
      writer.Write(part, width, output);
      output += writer.width();
    }
  }
  return features;
}

/// The words of columns that are embedded, numbered all through; nothing where there is no such column.
std::optional<Column> MakeCategories(const RawTable& raw, const Table& table, std::span<const uint64_t> rows) {
  const auto columns = static_cast<size_t>(std::count_if(raw.features.begin(), raw.features.end(),
                                                         [](const TableValues& values) { return values.embedded; }));
  if (columns == 0) return std::nullopt;
  Column categories{{"categories", DType::kI32, Shape{static_cast<int64_t>(columns)}, /*padding=*/-1}, {}};
  categories.bytes.resize(rows.size() * columns * sizeof(int32_t));
  auto* output = reinterpret_cast<int32_t*>(categories.bytes.data());
  int32_t first = 0;
  for (size_t i = 0; i < raw.features.size(); ++i) {
    const TableValues& values = raw.features[i];
    if (!values.embedded) continue;
    const TableColumn& column = table.columns(static_cast<int>(i));
    const std::vector<int32_t> places = FindWords(values.list.words(), column);
    for (size_t row = 0; row < rows.size(); ++row) {
      const int32_t word = values.words[rows[row]], place = word < 0 ? -1 : places[static_cast<size_t>(word)];
      output[row * columns] = place < 0 ? -1 : first + place;
    }
    first += column.values_size();
    ++output;
  }
  return categories;
}

Column MakeTargets(const RawTable& raw, std::span<const uint64_t> rows) {
  const size_t targets = raw.targets.size();
  Column column{{"target", DType::kF32, Shape{static_cast<int64_t>(targets)}}, {}};
  column.bytes.resize(rows.size() * targets * sizeof(float));
  auto* output = reinterpret_cast<float*>(column.bytes.data());
  for (const uint64_t row : rows)
    for (const TableValues& target : raw.targets) *output++ = target.targets[row];
  return column;
}

template <typename T>
std::vector<T> Pick(const std::vector<T>& values, std::span<const uint64_t> rows) {
  std::vector<T> picked;
  if (values.empty()) return picked;
  picked.reserve(rows.size());
  for (const uint64_t row : rows) picked.push_back(values[row]);
  return picked;
}

/// Whether files without headings, of numbers alone, say all of it themselves.
bool NothingToSay(const RawTable& raw, const Table& table) {
  if (raw.roles.headings) return false;
  return std::all_of(table.columns().begin(), table.columns().end(),
                     [](const TableColumn& column) { return column.values_size() == 0 && !column.has_fill(); });
}

RoleOptions RolesOf(const CsvOptions& options) { return {options.table, options.group, options.unlabeled}; }

void CheckAnswers(const Csv& config, const Origin& origin) {
  const bool label = config.has_label_column() || !config.label().empty();
  if (label && config.target_columns_size() + config.targets_size() > 0)
    throw Error(ErrorKind::kUsage, "there are targets as well",
                origin.field + (config.label().empty() ? ".label_column" : ".label"),
                "samples have a label or targets: remove one");
}

/// What the training rows say: `options.table`, or by `rows`, of which `labels` and `groups` are.
Table DescribeTable(const RawTable& raw, const Csv& config, const Origin& origin, const CsvOptions& options,
                    std::span<const uint64_t> rows, const std::vector<int32_t>& labels,
                    const std::vector<std::string>& groups) {
  if (options.table != nullptr && options.table->columns_size() > 0) return *options.table;
  std::vector<uint8_t> trained(rows.size(), 1);
  const bool asks = config.missing() != Missing::FAIL || raw.width < raw.features.size();
  if (options.trained && asks) trained = options.trained(rows.size(), labels, groups);
  std::vector<uint8_t> of_all(raw.rows);
  for (size_t i = 0; i < rows.size(); ++i) of_all[rows[i]] = trained[i];
  return DescribeColumns(raw, config, of_all, origin);
}

Records MakeRecords(RawTable raw, const Csv& config, const Origin& origin, const CsvOptions& options) {
  const TableLabels labels = SettleLabels(raw, {options.classes, options.class_names, options.on_broken}, origin);
  std::vector<uint64_t> rows;
  rows.reserve(raw.rows);
  for (uint64_t row = 0; row < raw.rows; ++row)
    if (labels.values.empty() || labels.values[row] >= 0) rows.push_back(row);

  Records records{.format = "csv 1", .size = rows.size(), .classes = labels.classes, .class_names = labels.names};
  records.groups = Pick(raw.groups, rows);
  records.names = Pick(raw.ids, rows);
  const std::vector<int32_t> kept_labels = Pick(labels.values, rows);
  const Table table = DescribeTable(raw, config, origin, options, rows, kept_labels, records.groups);
  if (!NothingToSay(raw, table)) records.table = std::make_shared<Table>(table);

  const size_t width = WidthOf(table, origin);
  const char* const name = config.has_image() ? "image" : "features";
  const Field field{name, DType::kF32, FeatureShape(config, width, origin)};
  records.columns.push_back(MakeFeatures(raw, config, table, rows, width));
  records.columns.back().field = field;
  if (std::optional<Column> categories = MakeCategories(raw, table, rows))
    records.columns.push_back(std::move(*categories));
  if (!raw.targets.empty()) records.columns.push_back(MakeTargets(raw, rows));
  if (raw.roles.label >= 0) records.columns.push_back(LabelColumn(kept_labels));
  return records;
}

}  // namespace

Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin, const CsvOptions& options) {
  CheckAnswers(config, origin);
  return MakeRecords(ReadTable(text, config, origin, {RolesOf(options), options.on_broken}), config, origin, options);
}

Records ReadCsvFile(const Csv& config, const Origin& origin, const CsvOptions& options) {
  CheckAnswers(config, origin);
  return MakeRecords(ReadTableFile(config, origin, {RolesOf(options), options.on_broken}), config, origin, options);
}

}  // namespace lockstep::data

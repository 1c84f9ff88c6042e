#include "data/formats/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// More classes than this are a wrong column, not classes.
constexpr double kMostClasses = 1 << 20;

/// What each column is. REQUIRES of both: the size is the number of columns of the first row.
struct Layout {
  enum Role : int { kFeature = -1, kLabel = -2 };
  std::vector<int> roles;  ///< kFeature, kLabel, or the index in "target"
  int features = 0;
  int targets = 0;  ///< 0 where there is a label
};

Error Misconfigured(const Origin& origin, const char* field, std::string message, std::string hint = "") {
  return Error(ErrorKind::kUsage, std::move(message), fmt::format("{}.{}", origin.field, field), std::move(hint));
}

int ResolveColumn(int column, int columns, const char* field, const Origin& origin) {
  if (column < -columns || column >= columns) {
    throw Misconfigured(origin, field, fmt::format("there is no column {}: {} has {}", column, origin.path, columns),
                        fmt::format("columns are {} to {}, or -1 to -{} from the end", 0, columns - 1, columns));
  }
  return column < 0 ? column + columns : column;
}

Layout MakeLayout(const Csv& config, int columns, const Origin& origin) {
  Layout layout;
  layout.roles.assign(static_cast<size_t>(columns), Layout::kFeature);
  const auto take = [&](int column, int role, const char* field) {
    int& slot = layout.roles[static_cast<size_t>(ResolveColumn(column, columns, field, origin))];
    if (slot != Layout::kFeature) throw Misconfigured(origin, field, fmt::format("column {} is named twice", column));
    slot = role;
  };
  for (int column : config.target_columns()) take(column, layout.targets++, "target_columns");
  if (layout.targets == 0) take(config.has_label_column() ? config.label_column() : -1, Layout::kLabel, "label_column");
  layout.features = static_cast<int>(std::count(layout.roles.begin(), layout.roles.end(), +Layout::kFeature));
  if (layout.features == 0) {
    throw origin.Bad(fmt::format("no features are left of {} column{}", columns, columns == 1 ? "" : "s"),
                     fmt::format("check {}.separator and the label's or targets' columns", origin.field));
  }
  return layout;
}

Shape FeatureShape(const Csv& config, int features, const Origin& origin) {
  if (!config.has_image()) return Shape{features};
  const ImageShape& image = config.image();
  const uint64_t channels = image.channels() == 0 ? 1 : image.channels();
  uint64_t pixels = 0;
  const bool overflow = __builtin_mul_overflow(uint64_t{image.height()} * image.width(), channels, &pixels);
  if (overflow || pixels != static_cast<uint64_t>(features)) {
    throw Misconfigured(origin, "image",
                        fmt::format("{} x {} x {} values don't match the {} feature columns of {}", image.height(),
                                    image.width(), channels, features, origin.path));
  }
  return Shape{image.height(), image.width(), static_cast<int64_t>(channels)};
}

char SeparatorOf(const Csv& config, const Origin& origin) {
  if (config.separator().empty()) return ',';
  const char separator = config.separator()[0];
  if (config.separator().size() != 1 || separator == '\n' || separator == '\r' || separator == '"') {
    throw Misconfigured(origin, "separator", "the separator is one character, not a quote or the end of a line");
  }
  return separator;
}

/// Without blanks around it, and without quotes around that.
std::string_view Trim(std::string_view cell) {
  const size_t begin = cell.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  cell = cell.substr(begin, cell.find_last_not_of(" \t\r") - begin + 1);
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
  return cell;
}

/// A finite number that a float holds; nothing else.
std::optional<double> ParseNumber(std::string_view cell) {
  if (cell.size() >= 2 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  if (!std::isfinite(static_cast<float>(value))) return std::nullopt;
  return value;
}

/// Reads rows into columns.
class RowReader {
 public:
  RowReader(const Csv& config, const Origin& origin)
      : config_(config), origin_(origin), separator_(SeparatorOf(config, origin)) {}

  void Add(std::string_view row, uint64_t line) {
    if (rows_ == 0) {
      const auto columns = std::count(row.begin(), row.end(), separator_) + 1;
      layout_ = MakeLayout(config_, static_cast<int>(columns), origin_);
      first_line_ = line;
    }
    size_t column = 0;
    for (size_t begin = 0; begin <= row.size(); ++column) {
      const size_t end = std::min(row.find(separator_, begin), row.size());
      if (column < layout_.roles.size()) AddCell(row.substr(begin, end - begin), line, column);
      begin = end + 1;
    }
    if (column != layout_.roles.size()) {
      throw origin_.Bad(fmt::format("{} columns where line {} has {}", column, first_line_, layout_.roles.size()),
                        fmt::format("every row must have the same number; the file is named by {}.file", origin_.field),
                        std::to_string(line));
    }
    targets_.insert(targets_.end(), row_targets_.begin(), row_targets_.end());
    ++rows_;
  }

  Records Finish() {
    if (rows_ == 0) throw origin_.Bad("there are no rows", fmt::format("the file is named by {}.file", origin_.field));
    Records records{.format = "csv 1", .size = rows_};
    const char* name = config_.has_image() ? "image" : "features";
    records.columns.push_back(FloatColumn(name, FeatureShape(config_, layout_.features, origin_), features_));
    if (layout_.targets > 0) {
      records.columns.push_back(FloatColumn("target", Shape{layout_.targets}, targets_));
    } else {
      records.columns.push_back(LabelColumn(labels_));
      records.classes = CountClasses(labels_);
    }
    return records;
  }

 private:
  static Column FloatColumn(const char* name, Shape shape, std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    return {{name, DType::kF32, shape}, {bytes.begin(), bytes.end()}};
  }

  void AddCell(std::string_view text, uint64_t line, size_t column) {
    const std::string_view cell = Trim(text);
    const std::optional<double> value = ParseNumber(cell);
    if (!value) throw BadCell(cell, "a number", line, column);
    const int role = layout_.roles[column];
    if (role == Layout::kFeature) {
      features_.push_back(static_cast<float>(*value));
    } else if (role != Layout::kLabel) {
      row_targets_.resize(static_cast<size_t>(layout_.targets));
      row_targets_[static_cast<size_t>(role)] = static_cast<float>(*value);
    } else if (*value < 0 || *value >= kMostClasses || *value != std::floor(*value)) {
      throw BadCell(cell, fmt::format("a class label, an integer from 0 to {}", kMostClasses - 1), line, column);
    } else {
      labels_.push_back(static_cast<int32_t>(*value));
    }
  }

  Error BadCell(std::string_view cell, std::string_view wanted, uint64_t line, size_t column) const {
    constexpr size_t kMostShown = 40;
    std::string shown(cell.substr(0, kMostShown));
    for (char& c : shown) {
      if (static_cast<unsigned char>(c) < 0x20) c = '?';
    }
    const std::string hint = line == first_line_ && config_.header_lines() == 0
                                 ? fmt::format("if the first line is a heading, set {}.header_lines: 1", origin_.field)
                                 : fmt::format("the file is named by {}.file", origin_.field);
    return origin_.Bad(fmt::format("column {} (from 0): '{}' is not {}", column, shown, wanted), hint,
                       std::to_string(line));
  }

  const Csv& config_;
  const Origin& origin_;
  char separator_;
  Layout layout_;
  uint64_t first_line_ = 0;
  uint64_t rows_ = 0;
  std::vector<float> features_, targets_, row_targets_;
  std::vector<int32_t> labels_;
};

}  // namespace

Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin) {
  if (config.has_label_column() && config.target_columns_size() > 0) {
    throw Misconfigured(origin, "label_column", "there are target_columns as well",
                        "samples have a label or targets: remove one");
  }
  std::string_view rest = WithoutByteOrderMark(text);

  RowReader reader(config, origin);
  for (uint64_t line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view row = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line <= config.header_lines()) continue;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    reader.Add(row, line);
  }
  return reader.Finish();
}

}  // namespace lockstep::data

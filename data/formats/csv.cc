#include "data/formats/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
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

/// The cells of a row as they stand in it. In a cell that begins with a quote, separators part nothing until the next
/// one.
void Split(std::string_view row, char separator, std::vector<std::string_view>& cells) {
  cells.clear();
  size_t begin = 0;
  bool quoted = false;
  for (size_t at = 0; at < row.size(); ++at) {
    if (row[at] == '"' && (quoted || row.substr(begin, at - begin).find_first_not_of(" \t") == std::string_view::npos))
      quoted = !quoted;
    if (quoted || row[at] != separator) continue;
    cells.push_back(row.substr(begin, at - begin));
    begin = at + 1;
  }
  cells.push_back(row.substr(begin));
}

/// A finite number that a float holds; nothing else. What is closer to 0 than any number is 0.
std::optional<double> ParseNumber(std::string_view cell) {
  if (cell.size() >= 2 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (end != cell.data() + cell.size()) return std::nullopt;
  const size_t exponent = cell.find_first_of("eE");
  if (error == std::errc::result_out_of_range && exponent != std::string_view::npos && cell[exponent + 1] == '-')
    return 0.0;
  if (error != std::errc() || !std::isfinite(static_cast<float>(value))) return std::nullopt;
  return value;
}

/// 0, 1, 2, ...: the heading that pandas gives to columns without names.
bool CountsColumns(std::span<const std::string_view> cells) {
  for (size_t i = 0; i < cells.size(); ++i)
    if (Trim(cells[i]) != std::to_string(i)) return false;
  return cells.size() > 2;  // "0,1" may well be a sample
}

/// Reads rows into columns.
class RowReader {
 public:
  RowReader(const Csv& config, const Origin& origin, const CsvOptions& options)
      : config_(config), origin_(origin), options_(options), separator_(SeparatorOf(config, origin)) {}

  /// The row counts altogether or, where it can't be read, not at all.
  void Add(std::string_view row, uint64_t line) {
    Split(row, separator_, cells_);
    if (first_line_ == 0) Begin(line);
    if (ends_with_separator_ && cells_.size() > 1 && Trim(cells_.back()).empty()) cells_.pop_back();
    try {
      RequireColumns(line);
      row_features_.clear();
      for (size_t column = 0; column < cells_.size(); ++column) AddCell(cells_[column], line, column);
    } catch (const Error& error) {
      if (!options_.on_broken) throw;
      options_.on_broken(error);
      return;
    }
    features_.insert(features_.end(), row_features_.begin(), row_features_.end());
    targets_.insert(targets_.end(), row_targets_.begin(), row_targets_.end());
    if (layout_.targets == 0) labels_.push_back(row_label_);
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
      records.classes = options_.classes > 0 ? options_.classes : CountClasses(labels_);
    }
    return records;
  }

 private:
  static Column FloatColumn(const char* name, Shape shape, std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    return {{name, DType::kF32, shape}, {bytes.begin(), bytes.end()}};
  }

  /// What the first row says of all.
  void Begin(uint64_t line) {
    first_line_ = line;
    ends_with_separator_ = cells_.size() > 1 && Trim(cells_.back()).empty();
    const size_t columns = cells_.size() - (ends_with_separator_ ? 1 : 0);
    if (!config_.has_header_lines() && CountsColumns(std::span(cells_).first(columns)))
      throw origin_.Bad("0, 1, 2, ... look like a heading, which pandas writes over columns without names",
                        fmt::format("set {0}.header_lines: 1, or 0 where they are a sample", origin_.field),
                        std::to_string(line));
    layout_ = MakeLayout(config_, static_cast<int>(columns), origin_);
    row_targets_.resize(static_cast<size_t>(layout_.targets));
  }

  void RequireColumns(uint64_t line) const {
    if (cells_.size() == layout_.roles.size()) return;
    throw origin_.Bad(fmt::format("{} columns where line {} has {}", cells_.size(), first_line_, layout_.roles.size()),
                      fmt::format("every row must have the same number; the file is named by {}.file", origin_.field),
                      std::to_string(line));
  }

  void AddCell(std::string_view text, uint64_t line, size_t column) {
    const std::string_view cell = Trim(text);
    const std::optional<double> value = ParseNumber(cell);
    if (!value) throw BadCell(cell, "a number", line, column);
    const int role = layout_.roles[column];
    const double most = options_.classes > 0 ? options_.classes : kMostClasses;
    if (role == Layout::kFeature) {
      row_features_.push_back(static_cast<float>(*value));
    } else if (role != Layout::kLabel) {
      row_targets_[static_cast<size_t>(role)] = static_cast<float>(*value);
    } else if (*value < 0 || *value >= most || *value != std::floor(*value)) {
      throw BadCell(cell, fmt::format("a class label, an integer from 0 to {}", most - 1), line, column);
    } else {
      row_label_ = static_cast<int32_t>(*value);
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
  const CsvOptions& options_;
  char separator_;
  Layout layout_;
  uint64_t first_line_ = 0;  ///< 0: there was none yet
  bool ends_with_separator_ = false;
  uint64_t rows_ = 0;
  std::vector<float> features_, targets_;
  std::vector<int32_t> labels_;
  // Of the present row.
  std::vector<std::string_view> cells_;
  std::vector<float> row_features_, row_targets_;
  int32_t row_label_ = 0;
};

}  // namespace

Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin, const CsvOptions& options) {
  if (config.has_label_column() && config.target_columns_size() > 0) {
    throw Misconfigured(origin, "label_column", "there are target_columns as well",
                        "samples have a label or targets: remove one");
  }
  std::string_view rest = WithoutByteOrderMark(text);
  const char line_end = rest.find('\n') == std::string_view::npos ? '\r' : '\n';
  RowReader reader(config, origin, options);
  for (uint64_t line = 1; !rest.empty(); ++line) {
    const size_t end = std::min(rest.find(line_end), rest.size());
    const std::string_view row = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line <= config.header_lines() || row.starts_with('#')) continue;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    reader.Add(row, line);
  }
  return reader.Finish();
}

}  // namespace lockstep::data

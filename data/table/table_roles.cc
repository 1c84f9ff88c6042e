#include "data/table/table_roles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "base/log.h"

namespace lockstep::data {
namespace {

std::optional<int> ParseInteger(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Deals out the columns, each of them once.
class RoleMaker {
 public:
  RoleMaker(const Csv& config, const RoleOptions& options, const Origin& origin)
      : config_(config), options_(options), origin_(origin) {}

  TableRoles Make(const std::vector<std::string_view>& heading, size_t columns) {
    roles_.columns = columns;
    roles_.headings = !heading.empty();
    for (size_t i = 0; i < columns; ++i)
      roles_.names.push_back(roles_.headings ? std::string(heading[i]) : std::to_string(i));
    taken_.assign(columns, false);
    if (!options_.unlabeled) TakeAnswers();
    if (!config_.id().empty() && (options_.table == nullptr || Has(config_.id()))) roles_.id = Take(config_.id(), "id");
    if (!options_.group.empty() && (options_.table == nullptr || Has(options_.group)))
      roles_.group = TakeIn(options_.group, "data.split.group");
    if (options_.table != nullptr && options_.table->columns_size() > 0) {
      TakeFeaturesOfTable();
    } else {
      TakeFeatures();
    }
    if (roles_.features.empty())
      throw origin_.Bad(
          fmt::format("no features are left of {} column{}", columns, columns == 1 ? "" : "s"),
          fmt::format("check {}.separator and the columns of label, targets and features", origin_.field));
    return std::move(roles_);
  }

 private:
  Error Misconfigured(const std::string& place, std::string message, std::string hint = "") const {
    return Error(ErrorKind::kUsage, std::move(message), place, std::move(hint));
  }

  bool Has(const std::string& name) const { return Find(name).has_value(); }

  /// The column of that heading or number.
  std::optional<int> Find(const std::string& name) const {
    if (roles_.headings) {
      const auto found = std::find(roles_.names.begin(), roles_.names.end(), name);
      if (found != roles_.names.end()) return static_cast<int>(found - roles_.names.begin());
    }
    const std::optional<int> number = ParseInteger(name);
    const int columns = static_cast<int>(roles_.columns);
    if (!number || *number < -columns || *number >= columns) return std::nullopt;
    return *number < 0 ? *number + columns : *number;
  }

  int Require(const std::string& name, const std::string& place) const {
    if (std::count(roles_.names.begin(), roles_.names.end(), name) > 1 && roles_.headings)
      throw Misconfigured(place, fmt::format("several columns of {} are called \"{}\"", origin_.path, name),
                          "give the column's number, from 0");
    const std::optional<int> column = Find(name);
    if (column) return *column;
    constexpr size_t kMostNamed = 30;
    const auto named = std::span(roles_.names).first(std::min(kMostNamed, roles_.names.size()));
    std::string hint =
        fmt::format("columns are 0 to {}, or -1 to -{} from the end", roles_.columns - 1, roles_.columns);
    if (roles_.headings)
      hint = fmt::format("it has {}{}", fmt::join(named, ", "), named.size() < roles_.columns ? ", ..." : "");
    throw Misconfigured(place, fmt::format("there is no column {}: {} has {}", name, origin_.path, roles_.columns),
                        hint);
  }

  int TakeIn(const std::string& name, const std::string& place) {
    const int column = Require(name, place);
    if (taken_[static_cast<size_t>(column)])
      throw Misconfigured(place, fmt::format("column {} is named twice", name), "a column has one purpose");
    taken_[static_cast<size_t>(column)] = true;
    return column;
  }
  int Take(const std::string& name, const char* field) {
    return TakeIn(name, fmt::format("{}.{}", origin_.field, field));
  }

  void TakeAnswers() {
    for (const std::string& name : config_.targets()) roles_.targets.push_back(Take(name, "targets"));
    for (const int column : config_.target_columns())
      roles_.targets.push_back(Take(std::to_string(column), "target_columns"));
    if (!roles_.targets.empty()) return;
    if (!config_.label().empty()) {
      roles_.label = Take(config_.label(), "label");
    } else {
      roles_.label = Take(config_.has_label_column() ? std::to_string(config_.label_column()) : "-1", "label_column");
    }
  }

  enum class Kind : uint8_t { kNumber, kCategorical, kEmbedded };

  void AddFeature(int column, Kind kind) {
    roles_.features.push_back(column);
    roles_.categorical.push_back(kind == Kind::kCategorical);
    roles_.embedded.push_back(kind == Kind::kEmbedded);
  }

  /// By column.
  std::vector<Kind> FindKinds() const {
    std::vector<Kind> kinds(roles_.columns, Kind::kNumber);
    const auto set = [&](const std::string& name, Kind kind, const char* field) {
      Kind& known = kinds[static_cast<size_t>(Require(name, fmt::format("{}.{}", origin_.field, field)))];
      if (known != Kind::kNumber && known != kind)
        throw Misconfigured(fmt::format("{}.{}", origin_.field, field), fmt::format("column {} is named twice", name),
                            "a column of words is categorical or embedded");
      known = kind;
    };
    for (const std::string& name : config_.categorical()) set(name, Kind::kCategorical, "categorical");
    for (const std::string& name : config_.embedded()) set(name, Kind::kEmbedded, "embedded");
    return kinds;
  }

  void TakeFeatures() {
    for (const std::string& name : config_.skip()) Take(name, "skip");
    const std::vector<Kind> kinds = FindKinds();
    for (const std::string& name : config_.features()) {
      const int column = Take(name, "features");
      AddFeature(column, kinds[static_cast<size_t>(column)]);
    }
    for (size_t column = 0; column < roles_.columns; ++column) {
      if (config_.features_size() == 0 && !taken_[column] && !IsIndex(column))
        AddFeature(static_cast<int>(column), kinds[column]);
      if (kinds[column] != Kind::kNumber && std::count(roles_.features.begin(), roles_.features.end(), column) == 0)
        throw Misconfigured(origin_.field + (kinds[column] == Kind::kEmbedded ? ".embedded" : ".categorical"),
                            fmt::format("column {} is not among the features", roles_.names[column]));
    }
  }

  bool IsIndex(size_t column) const {
    if (column > 0 || !roles_.headings || (!roles_.names[0].empty() && roles_.names[0] != "Unnamed: 0")) return false;
    LogNote("the first column of {} has no heading and is left out: pandas writes its index so", origin_.path);
    return true;
  }

  /// By name; files without headings may lack what is no feature.
  void TakeFeaturesOfTable() {
    const Table& table = *options_.table;
    const bool bare =
        !roles_.headings && options_.unlabeled && static_cast<int>(roles_.columns) == table.columns_size();
    for (int i = 0; i < table.columns_size(); ++i) {
      const TableColumn& column = table.columns(i);
      const Kind of_words = column.embedded() ? Kind::kEmbedded : Kind::kCategorical;
      AddFeature(bare ? i : Require(column.name(), origin_.field), column.values_size() > 0 ? of_words : Kind::kNumber);
    }
  }

  const Csv& config_;
  const RoleOptions& options_;
  const Origin& origin_;
  TableRoles roles_;
  std::vector<bool> taken_;
};

}  // namespace

std::string TableRoles::NameOf(int column) const {
  return headings ? fmt::format("column \"{}\" ({} from 0)", names[static_cast<size_t>(column)], column)
                  : fmt::format("column {} (from 0)", column);
}

TableRoles MakeRoles(const Csv& config, const std::vector<std::string_view>& heading, size_t columns,
                     const RoleOptions& options, const Origin& origin) {
  return RoleMaker(config, options, origin).Make(heading, columns);
}

}  // namespace lockstep::data

#include "launch/tune/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "base/error.h"
#include "base/philox.h"
#include "launch/scale/study.h"

namespace lockstep::launch {
namespace {

Error Bad(const std::string& text, const std::string& message) {
  return Error(ErrorKind::kUsage, fmt::format("'{}' {}", text, message), "--over",
               "for example --over 'optimizer.learning_rate=log(1e-4,1e-1)' or --over model.mlp.dropout=0,0.1,0.3");
}

/// "log(1e-4,1e-1)": fills in the kind and the ends; false where it is a list.
bool ParseRange(const std::string& text, const std::string& range, Dimension& dimension) {
  constexpr std::pair<const char*, Dimension::Kind> kKinds[] = {
      {"log(", Dimension::Kind::kLog}, {"uniform(", Dimension::Kind::kUniform}, {"whole(", Dimension::Kind::kWhole}};
  for (const auto& [word, kind] : kKinds) {
    if (!range.starts_with(word)) continue;
    dimension.kind = kind;
    const char* at = range.c_str() + std::string(word).size();
    char* end = nullptr;
    dimension.low = std::strtod(at, &end);
    if (end == at || *end != ',') throw Bad(text, "has no two ends, as in log(1e-4,1e-1)");
    at = end + 1;
    dimension.high = std::strtod(at, &end);
    if (end == at || std::string(end) != ")") throw Bad(text, "has no two ends, as in log(1e-4,1e-1)");
    if (!(dimension.low < dimension.high)) throw Bad(text, "has a lower end that is not below the upper one");
    if (kind == Dimension::Kind::kLog && !(dimension.low > 0)) throw Bad(text, "has an end that no logarithm has");
    return true;
  }
  return false;
}

/// NaN where the text is no number.
double NumberIn(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nan("") : value;
}

}  // namespace

Dimension ParseOver(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) throw Bad(text, "is not FIELD=VALUES");
  Dimension dimension{.field = text.substr(0, equals)};
  if (!ParseRange(text, text.substr(equals + 1), dimension)) dimension.values = ParseVaried(text).values;
  return dimension;
}

std::string ValueAt(const Dimension& dimension, double unit) {
  const double low = dimension.low, high = dimension.high;
  switch (dimension.kind) {
    case Dimension::Kind::kList: {
      const auto count = static_cast<double>(dimension.values.size());
      return dimension.values[static_cast<size_t>(std::min(count - 1, std::floor(unit * count)))];
    }
    case Dimension::Kind::kUniform:
      return fmt::format("{:.6g}", low + unit * (high - low));
    case Dimension::Kind::kLog:
      return fmt::format("{:.6g}", std::exp(std::log(low) + unit * (std::log(high) - std::log(low))));
    case Dimension::Kind::kWhole:
      return fmt::format("{:.0f}", std::min(high, std::floor(low + unit * (high - low + 1))));
  }
  return "";
}

FieldAxis AxisOf(const Dimension& dimension) {
  if (dimension.continuous())
    return {.log = dimension.kind == Dimension::Kind::kLog, .low = dimension.low, .high = dimension.high};
  FieldAxis axis;
  for (const std::string& value : dimension.values) axis.places.push_back(NumberIn(value));
  const bool numbers = std::ranges::all_of(axis.places, [](double place) { return std::isfinite(place); });
  if (!numbers) std::iota(axis.places.begin(), axis.places.end(), 0.0);
  axis.low = std::ranges::min(axis.places);
  axis.high = std::ranges::max(axis.places);
  constexpr double kWide = 20;
  axis.log = numbers && axis.low > 0 && axis.high >= kWide * axis.low;
  return axis;
}

double PlaceOf(const Dimension& dimension, const FieldAxis& axis, const std::string& value) {
  if (dimension.continuous()) return NumberIn(value);
  const auto found = std::ranges::find(dimension.values, value);
  return found == dimension.values.end() ? std::nan("")
                                         : axis.places[static_cast<size_t>(found - dimension.values.begin())];
}

double ShareOf(const Dimension& dimension, const FieldAxis& axis, const std::string& value) {
  const double place = PlaceOf(dimension, axis, value);
  if (axis.high <= axis.low) return 0.5;
  return axis.log ? std::log(place / axis.low) / std::log(axis.high / axis.low)
                  : (place - axis.low) / (axis.high - axis.low);
}

std::vector<std::string> SettingsAt(const std::vector<Dimension>& space, const Units& units) {
  std::vector<std::string> settings;
  for (size_t i = 0; i < space.size(); ++i) settings.push_back(space[i].field + "=" + ValueAt(space[i], units[i]));
  return settings;
}

std::vector<Units> GridOf(const std::vector<Dimension>& space, int points) {
  std::vector<Units> grid(1);
  for (const Dimension& dimension : space) {
    const bool range = dimension.continuous();
    const auto count = range ? static_cast<size_t>(points) : dimension.values.size();
    std::vector<Units> longer;
    for (const Units& units : grid)
      for (size_t i = 0; i < count; ++i) {
        longer.push_back(units);
        const auto place = static_cast<double>(i), all = static_cast<double>(count);
        longer.back().push_back(!range       ? (place + 0.5) / all
                                : count == 1 ? 0.5
                                             : std::min(place / (all - 1), std::nextafter(1.0, 0.0)));
      }
    grid = std::move(longer);
  }
  return grid;
}

Units DrawAt(const std::vector<Dimension>& space, uint64_t seed, int trial) {
  Units units;
  for (uint32_t i = 0; i < space.size(); ++i)
    units.push_back(RandomStream{seed, static_cast<uint64_t>(trial), 0, 0}.Bits(i) * 0x1p-32);
  return units;
}

}  // namespace lockstep::launch

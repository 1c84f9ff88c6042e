#include "launch/report/metric_rows.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "base/json_fields.h"

namespace lockstep::launch {
namespace {

constexpr double kNotFinite = std::numeric_limits<double>::quiet_NaN();

// Where a row stands, and not what it says.
constexpr const char* kPlaces[] = {"step", "epoch", "attempt", "time", "split"};
// What a row says of training, and not of the model.
constexpr const char* kCircumstances[] = {
    "learning_rate",     "samples_per_s", "tokens_per_s",       "grad_norm",         "watts",
    "joules_per_sample", "data_seconds",  "checkpoint_seconds", "evaluation_seconds"};

template <size_t n>
bool IsOneOf(const std::string& name, const char* const (&names)[n]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// Takes away what a resume has gone back behind.
void GoBackTo(double step, std::vector<Point>& curve) {
  while (!curve.empty() && curve.back().x >= step) curve.pop_back();
}

class Reader {
 public:
  void Add(const Json& row) {
    const double step = NumberOr(row, "step", -1);
    if (step < 0) {
      ++rows_.unreadable;
      return;
    }
    const std::string split = TextOr(row, "split");
    rows_.times.push_back({step, NumberOr(row, "time"), FieldOr<uint32_t>(row, "attempt", 0), !split.empty()});
    rows_.last_epoch = NumberOr(row, "epoch");
    if (rows_.last_epoch > 0 && step > 0) rows_.steps_per_epoch = step / rows_.last_epoch;
    Curves& curves = split.empty() ? rows_.training : rows_.evaluated[split];
    for (const auto& [name, value] : row.items()) {
      if (IsOneOf(name, kPlaces) || !(value.is_number() || value.is_null())) continue;
      std::vector<Point>& curve = curves[name];
      GoBackTo(step, curve);
      // JSON has no NaN: null stands for it.
      const double number = value.is_number() ? value.get<double>() : kNotFinite;
      curve.push_back({step, std::isfinite(number) ? number : kNotFinite});
    }
  }

  MetricRows Take() {
    if (const auto loss = rows_.training.find("loss"); loss != rows_.training.end())
      for (const Point& point : loss->second)
        if (!std::isfinite(point.y) && rows_.not_finite++ == 0) rows_.first_not_finite = point.x;
    return std::move(rows_);
  }

  void AddUnreadable() { ++rows_.unreadable; }

 private:
  MetricRows rows_;
};

}  // namespace

const std::vector<Point>* FindCurve(const Curves& curves, const std::string& name) {
  const auto found = curves.find(name);
  return found == curves.end() || found->second.empty() ? nullptr : &found->second;
}

MetricRows ParseMetricRows(std::string_view text) {
  Reader reader;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const bool torn = end == std::string_view::npos;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(torn ? text.size() : end + 1);
    if (line.find_first_not_of(" \r") == std::string_view::npos) continue;
    const Json row = ParseJsonObject(line);
    if (row.is_object())
      reader.Add(row);
    else if (!torn)
      reader.AddUnreadable();
  }
  return reader.Take();
}

std::vector<std::string> MeasuresOf(const MetricRows& rows) {
  std::set<std::string> names;
  const auto add = [&](const Curves& curves) {
    for (const auto& [name, curve] : curves)
      if (!IsOneOf(name, kCircumstances)) names.insert(name);
  };
  add(rows.training);
  for (const auto& [split, curves] : rows.evaluated) add(curves);
  std::vector<std::string> ordered;
  for (const char* first : {"loss", "accuracy", "perplexity"})
    if (names.erase(first) > 0) ordered.emplace_back(first);
  ordered.insert(ordered.end(), names.begin(), names.end());
  return ordered;
}

}  // namespace lockstep::launch

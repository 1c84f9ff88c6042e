#include "launch/report/run_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <utility>

#include "launch/page/axis.h"
#include "launch/page/smooth.h"
#include "launch/report/overfitting.h"

namespace lockstep::launch {
namespace {

constexpr int kTraining = 0, kOtherSplit = 3, kLostSteps = 4, kCheckpoints = 2;
constexpr int kSmallWidth = 480, kSmallHeight = 230;
constexpr double kShortRun = 10;  // seconds

/// The evaluations that windows of the training curve lie between.
std::vector<Point> EvaluationsOf(const RunRecord& run) {
  const auto found = run.rows.evaluated.find(SteeringSplit(run.rows));
  if (found == run.rows.evaluated.end()) return {};
  const std::vector<Point>* loss = FindCurve(found->second, "loss");
  return loss == nullptr ? std::vector<Point>() : *loss;
}

int ColourOf(const std::string& split) { return split == "validation" ? 1 : split == "test" ? 2 : kOtherSplit; }

std::string StepLabel(const RunRecord& run) {
  if (run.rows.steps_per_epoch <= 0) return "step";
  return fmt::format("step (an epoch is {} steps)", NumberText(std::round(run.rows.steps_per_epoch * 10) / 10));
}

std::vector<Mark> RestartMarks(const RunRecord& run) {
  std::vector<Mark> marks;
  for (size_t i = 1; i < run.starts.size(); ++i)
    marks.push_back({static_cast<double>(run.starts[i].from_step), fmt::format("start {}", run.starts[i].attempt)});
  std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.x < b.x; });
  return marks;
}

struct Unit {
  const char* name;
  double seconds;
};
Unit UnitOf(double seconds) {
  if (seconds < 300) return {"seconds", 1};
  if (seconds < 3 * 3600) return {"minutes", 60};
  if (seconds < 3 * 86400) return {"hours", 3600};
  return {"days", 86400};
}

/// Rows over time, with a gap between attempts.
std::vector<Point> OverTime(const std::vector<TimedRow>& rows, double begin, const Unit& unit) {
  std::vector<Point> points;
  uint32_t attempt = 0;
  for (const TimedRow& row : rows) {
    if (row.evaluation || row.time < begin) continue;
    const double x = (row.time - begin) / unit.seconds;
    if (!points.empty() && (row.attempt != attempt || x < points.back().x))
      points.push_back({std::max(x, points.back().x), std::numeric_limits<double>::quiet_NaN()});
    attempt = row.attempt;
    if (points.empty() || x >= points.back().x) points.push_back({x, row.step});
  }
  return points;
}

}  // namespace

std::string NameOfMeasure(const std::string& measure) {
  static const std::vector<std::string> abbreviations = {"wer",  "cer", "bleu", "auc", "ece", "mse",
                                                         "rmse", "mae", "r2",   "ap",  "ap50"};
  if (measure == "ap50_all_points") return "AP50, all points";
  std::string name = measure;
  std::replace(name.begin(), name.end(), '_', ' ');
  const bool whole = std::find(abbreviations.begin(), abbreviations.end(), name) != abbreviations.end();
  for (size_t i = 0; i < (whole ? name.size() : std::min<size_t>(1, name.size())); ++i)
    name[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[i])));
  return name;
}

bool WantsLogarithm(const std::vector<Series>& series) {
  const bool dots = std::any_of(series.begin(), series.end(), [](const Series& one) { return one.dots; });
  Extent extent;
  for (const Series& one : series)
    if (one.dots == dots && !one.faint)
      for (const Point& point : one.points) extent.Add(point.y);
  return !extent.empty() && extent.low() > 0 && extent.high() > 50 * extent.low();
}

std::vector<Series> SmoothedSeries(const RunRecord& run, const std::string& field, const std::string& name, int colour,
                                   bool with_rows) {
  const std::vector<Point>* rows = FindCurve(run.rows.training, field);
  if (rows == nullptr) return {};
  const Windows windows = ChooseWindows(*rows, EvaluationsOf(run));
  std::vector<Series> series;
  const std::string words = InWords(windows);
  if (with_rows && !words.empty())
    series.push_back({.name = "each logged step", .points = *rows, .colour = colour, .faint = true});
  const std::string means = words.empty() || !with_rows ? name : fmt::format("{}, {}", name, words);
  series.push_back({.name = means, .points = Smooth(*rows, windows), .colour = colour});
  return series;
}

Chart MeasureChart(const RunRecord& run, const std::string& measure) {
  Chart chart{.title = NameOfMeasure(measure), .x_label = StepLabel(run)};
  chart.series = SmoothedSeries(run, measure, "training", kTraining, true);
  for (const auto& [split, curves] : run.rows.evaluated)
    if (const std::vector<Point>* points = FindCurve(curves, measure))
      chart.series.push_back({.name = fmt::format("{}, {} at its last evaluation", split, NumberText(points->back().y)),
                              .points = *points,
                              .colour = ColourOf(split),
                              .dots = true});
  const bool share = measure == "accuracy" || measure.starts_with("ap");
  chart.log_y = !share && WantsLogarithm(chart.series);
  if (chart.log_y) chart.title += " (logarithmic)";
  chart.marks = RestartMarks(run);
  for (const auto& checkpoint : run.checkpoints) chart.ticks.push_back(static_cast<double>(checkpoint.step));
  chart.ticks_name = "checkpoints that are kept";
  if (measure != "loss") return chart;
  if (const auto worse = JudgeOverfitting(run.rows, run.running()).worse) chart.shades.push_back(*worse);
  return chart;
}

std::vector<Chart> CircumstanceCharts(const RunRecord& run) {
  struct Field {
    const char *name, *title, *series;
    bool from_zero;
  };
  std::vector<Chart> charts;
  for (const Field& field :
       {Field{"learning_rate", "Learning rate", "rate", true},
        Field{"samples_per_s", "Throughput, samples per second", "samples per second", true},
        Field{"tokens_per_s", "Throughput, tokens per second", "tokens per second", true},
        Field{"grad_norm", "Norm of the gradient", "norm", false}, Field{"watts", "Power, watts", "watts", true}}) {
    Chart chart{.title = field.title, .x_label = "step", .width = kSmallWidth, .height = kSmallHeight};
    if (std::string(field.name) == "learning_rate") {
      if (const std::vector<Point>* rate = FindCurve(run.rows.training, field.name)) chart.series = {{.points = *rate}};
    } else {
      chart.series = SmoothedSeries(run, field.name, field.series, kTraining, true);
    }
    if (chart.series.empty()) continue;
    chart.y_from_zero = field.from_zero;
    chart.log_y = !field.from_zero && WantsLogarithm(chart.series);
    if (chart.log_y) chart.title += " (logarithmic)";
    chart.marks = RestartMarks(run);
    charts.push_back(std::move(chart));
  }
  return charts;
}

std::vector<Chart> ProgressChart(const RunRecord& run) {
  if (run.starts.empty() || run.rows.times.empty() || run.starts.front().time <= 0) return {};
  const double begin = run.starts.front().time, end = run.rows.times.back().time;
  if (run.starts.size() == 1 && end - begin < kShortRun) return {};
  const Unit unit = UnitOf(end - begin);
  Chart chart{.title = "Progress over time",
              .x_label = fmt::format("{} since the first start", unit.name),
              .y_label = "step",
              .height = 260,
              .y_from_zero = true,
              .whole_x = false};
  chart.series.push_back({.name = "steps", .points = OverTime(run.rows.times, begin, unit), .colour = kTraining});
  if (!run.discarded.empty())
    chart.series.push_back(
        {.name = "steps that a restart lost", .points = OverTime(run.discarded, begin, unit), .colour = kLostSteps});
  Series checkpoints{.name = "checkpoints that are kept", .colour = kCheckpoints, .line = false};
  for (const auto& checkpoint : run.checkpoints)
    if (checkpoint.written >= begin && checkpoint.written <= end + 60)
      checkpoints.points.push_back({(checkpoint.written - begin) / unit.seconds, static_cast<double>(checkpoint.step)});
  if (!checkpoints.points.empty()) chart.series.push_back(checkpoints);
  for (size_t i = 1; i < run.starts.size(); ++i)
    chart.marks.push_back(
        {(run.starts[i].time - begin) / unit.seconds, fmt::format("start {}", run.starts[i].attempt)});
  return {chart};
}

}  // namespace lockstep::launch

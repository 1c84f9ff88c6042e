#include "launch/report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <set>
#include <string>

#include "launch/page/axis.h"
#include "launch/page/chart.h"
#include "launch/report/overfitting.h"
#include "launch/report/recipe_differences.h"
#include "launch/report/run_charts.h"

namespace lockstep::launch {
namespace {

// Of more runs than that the faint lines of training would hide the others.
constexpr size_t kMostWithTraining = 6;
constexpr size_t kMostFields = 12, kMostCell = 70, kLongestName = 24;

/// All measures of all runs, those of the first ones first.
std::vector<std::string> AllMeasures(const std::vector<RunRecord>& runs) {
  std::vector<std::string> measures;
  for (const RunRecord& run : runs)
    for (const std::string& measure : MeasuresOf(run.rows))
      if (std::find(measures.begin(), measures.end(), measure) == measures.end()) measures.push_back(measure);
  return measures;
}

/// A split's measures that any run has, as columns: ("test", "accuracy").
std::vector<std::pair<std::string, std::string>> SplitMeasures(const std::vector<RunRecord>& runs) {
  std::set<std::string, std::greater<>> splits;
  for (const RunRecord& run : runs)
    for (const auto& [split, curves] : run.rows.evaluated) splits.insert(split);
  std::vector<std::pair<std::string, std::string>> columns;
  for (const std::string& split : splits)
    for (const std::string& measure : AllMeasures(runs)) {
      const auto has = [&](const RunRecord& run) {
        const auto found = run.rows.evaluated.find(split);
        return found != run.rows.evaluated.end() && FindCurve(found->second, measure) != nullptr;
      };
      if (std::any_of(runs.begin(), runs.end(), has)) columns.emplace_back(split, measure);
    }
  return columns;
}

std::vector<FieldDifference> Differences(const std::vector<RunRecord>& runs) {
  static const Recipe* const kNone = new Recipe();
  std::vector<const google::protobuf::Message*> recipes;
  recipes.reserve(runs.size());
  for (const RunRecord& run : runs) recipes.push_back(run.recipe ? &*run.recipe : kNone);
  return CompareFields(recipes);
}

std::string LastText(const RunRecord& run, const std::string& split, const std::string& measure) {
  const auto found = run.rows.evaluated.find(split);
  if (found == run.rows.evaluated.end()) return "";
  const std::vector<Point>* curve = FindCurve(found->second, measure);
  return curve == nullptr ? "" : NumberText(curve->back().y);
}

/// "0.6821 at 120": the least loss of the steering split.
std::string BestText(const RunRecord& run) {
  const std::string split = SteeringSplit(run.rows);
  if (split.empty()) return "";
  Point best{0, std::numeric_limits<double>::infinity()};
  for (const Point& point : run.rows.evaluated.at(split).at("loss"))
    if (point.y < best.y) best = point;
  return fmt::format("{} at {}", NumberText(best.y), NumberText(best.x));
}

double MeanSpeed(const RunRecord& run) {
  const std::vector<Point>* speeds = FindCurve(run.rows.training, "samples_per_s");
  if (speeds == nullptr) return std::nan("");
  double sum = 0;
  int count = 0;
  for (const Point& point : *speeds)
    if (std::isfinite(point.y)) {
      sum += point.y;
      ++count;
    }
  return sum / count;
}

void DrawSwatch(size_t index, HtmlWriter& html) {
  const auto list = html.Open("span", {{"class", "legend"}});
  const auto svg = html.Open("svg", {{"viewBox", "0 0 26 10"}, {"width", "26"}, {"height", "10"}});
  html.AddEmpty("path", {{"class", fmt::format("line c{} d{}", index % 8, index / 8 % 3)}, {"d", "M2 5H24"}});
}

void DrawTable(const std::vector<RunRecord>& runs, HtmlWriter& html) {
  std::vector<FieldDifference> differences = Differences(runs);
  const size_t all = differences.size();
  if (all > kMostFields) differences.resize(kMostFields);
  const auto columns = SplitMeasures(runs);
  {
    const auto scroll = html.Open("div", {{"class", "scroll"}});
    const auto table = html.Open("table");
    {
      const auto head = html.Open("thead");
      const auto row = html.Open("tr");
      html.Add("th", "");
      html.Add("th", "run");
      for (const FieldDifference& difference : differences) html.Add("th", difference.field);
      for (const char* name : {"state", "step"}) html.Add("th", name);
      html.Add("th", {{"class", "n"}}, "best loss, at step");
      for (const auto& [split, measure] : columns) html.Add("th", {{"class", "n"}}, split + " " + measure);
      html.Add("th", {{"class", "n"}}, "samples/s");
    }
    const auto body = html.Open("tbody");
    for (size_t i = 0; i < runs.size(); ++i) {
      const RunRecord& run = runs[i];
      const auto row = html.Open("tr");
      {
        const auto cell = html.Open("td");
        DrawSwatch(i, html);
      }
      html.Add("td", {{"class", run.name.size() <= kLongestName ? "whole" : ""}}, run.name);
      for (const FieldDifference& difference : differences)
        html.Add("td", {{"title", difference.values[i]}}, Cut(difference.values[i], kMostCell));
      html.Add("td", run.state);
      html.Add("td", {{"class", "n"}}, run.rows.times.empty() ? "-" : NumberText(run.rows.times.back().step));
      html.Add("td", {{"class", "n"}}, BestText(run));
      for (const auto& [split, measure] : columns) html.Add("td", {{"class", "n"}}, LastText(run, split, measure));
      html.Add("td", {{"class", "n"}}, NumberText(std::round(MeanSpeed(run))));
    }
  }
  html.Add("p", {{"class", "note"}},
           fmt::format("{} The best loss is that of the validation split, or of the test split of runs that have no "
                       "other; measures are those of the last evaluation; samples per second are the mean of the rows.",
                       all == 0 ? "The recipes are alike."
                       : all > kMostFields
                           ? fmt::format("Recipes differ in {} fields, of which {} are shown.", all, kMostFields)
                           : "Fields of recipes are those in which they differ."));
}

/// Of each run the split that steers it; with few runs training too, faint.
Chart CompareMeasure(const std::vector<RunRecord>& runs, const std::string& measure) {
  Chart chart{.title = NameOfMeasure(measure), .x_label = "step"};
  std::set<std::string> splits;
  const bool with_training = runs.size() <= kMostWithTraining;
  bool any_training = false;
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    const auto colour = static_cast<int>(i);
    const std::string split = SteeringSplit(run.rows);
    const std::vector<Point>* curve = split.empty() ? nullptr : FindCurve(run.rows.evaluated.at(split), measure);
    if (curve != nullptr) {
      splits.insert(split);
      chart.series.push_back({.name = run.name, .points = *curve, .colour = colour, .dots = true});
    }
    if (curve != nullptr && !with_training) continue;
    for (Series& series : SmoothedSeries(run, measure, run.name, colour, false)) {
      any_training = true;
      series.faint = curve != nullptr;
      if (curve != nullptr) series.name = "";
      chart.series.push_back(std::move(series));
    }
  }
  std::string names;
  for (const std::string& split : splits) names += (names.empty() ? "" : " or ") + split;
  if (!names.empty()) chart.title += ", " + names;
  if (any_training)
    chart.note = names.empty() ? "Training, mean of windows." : "Thin lines: training, mean of windows.";
  chart.log_y = WantsLogarithm(chart.series);
  if (chart.log_y) chart.title += " (logarithmic)";
  return chart;
}

Chart CompareField(const std::vector<RunRecord>& runs, const std::string& field, const std::string& title) {
  Chart chart{.title = title, .x_label = "step", .width = 480, .height = 230, .y_from_zero = true};
  for (size_t i = 0; i < runs.size(); ++i)
    for (Series& series : SmoothedSeries(runs[i], field, runs[i].name, static_cast<int>(i), false)) {
      // The colours are those of the charts above; twenty names would be larger than the chart.
      if (runs.size() > kMostWithTraining) series.name = "";
      chart.series.push_back(std::move(series));
    }
  return chart;
}

}  // namespace

void DrawComparison(const std::vector<RunRecord>& runs, HtmlWriter& html) {
  DrawTable(runs, html);
  html.Add("h2", "Curves");
  const auto charts = html.Open("div", {{"class", "charts"}});
  for (const std::string& measure : AllMeasures(runs)) DrawChart(CompareMeasure(runs, measure), html);
  DrawChart(CompareField(runs, "learning_rate", "Learning rate"), html);
  DrawChart(CompareField(runs, "samples_per_s", "Throughput, samples per second"), html);
}

void TellApart(std::vector<RunRecord>& runs) {
  const auto count = [&](const std::string& name) {
    return std::count_if(runs.begin(), runs.end(), [&](const RunRecord& run) { return run.name == name; });
  };
  std::vector<std::string> names;
  for (const RunRecord& run : runs)
    names.push_back(count(run.name) == 1 ? run.name : std::filesystem::path(run.folder).filename().string());
  for (size_t i = 0; i < runs.size(); ++i)
    if (std::count(names.begin(), names.end(), names[i]) > 1) names[i] = runs[i].folder;
  for (size_t i = 0; i < runs.size(); ++i) runs[i].name = names[i];
}

}  // namespace lockstep::launch

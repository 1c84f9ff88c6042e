#include "launch/tune/sweep_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "launch/page/axis.h"
#include "launch/page/chart.h"
#include "launch/page/html_writer.h"
#include "launch/page/page.h"
#include "launch/scale/statistics.h"

namespace lockstep::launch {
namespace {

constexpr size_t kMostBest = 10, kMostColours = 5;

std::vector<double> ValuesOf(const std::vector<Trial>& trials, int number) {
  std::vector<double> values{trials[static_cast<size_t>(number)].value};
  for (const Trial& trial : trials)
    if (trial.repeat_of == number && trial.state == Trial::State::kDone) values.push_back(trial.value);
  return values;
}

/// "1e-3" of "optimizer.learning_rate=1e-3".
std::string ValueText(const std::string& setting) { return setting.substr(setting.find('=') + 1); }

std::string LastWord(const std::string& field) { return field.substr(field.rfind('.') + 1); }

/// The value of a trial at each of its evaluated rungs and at its end, as the measure says it.
Series CurveOf(const SweepFacts& facts, const Trial& trial, bool best) {
  Series series{.name = best ? fmt::format("trial {}", trial.number) : "", .faint = !best, .dots = true};
  const std::vector<uint64_t> rungs =
      facts.request.eta > 0 ? RungsOf(facts.request.first_rung, facts.request.eta, facts.request.total_steps)
                            : std::vector<uint64_t>{};
  for (size_t i = 0; i < trial.rungs.size() && i < rungs.size(); ++i)
    series.points.push_back({static_cast<double>(rungs[i]), facts.request.falls ? trial.rungs[i] : -trial.rungs[i]});
  if (trial.state == Trial::State::kDone)
    series.points.push_back({static_cast<double>(facts.request.total_steps), trial.value});
  return series;
}

/// The lowest or the highest value, as it was written.
std::string EndText(const Dimension& dimension, const FieldAxis& axis, bool high) {
  if (axis.places.empty()) return NumberText(high ? axis.high : axis.low);
  const auto end = std::ranges::find(axis.places, high ? axis.high : axis.low);
  return dimension.values[static_cast<size_t>(end - axis.places.begin())];
}

/// One line a trial, from field to field, and to its value.
void DrawCoordinates(const SweepFacts& facts, const std::vector<Trial>& trials, const std::vector<int>& ranking,
                     HtmlWriter& html) {
  if (ranking.size() < 2) return;
  const std::vector<Dimension>& space = facts.request.space;
  Chart chart{.title = "Trials from field to field",
              .note = fmt::format("Each field runs on its own scale, from its lowest value, below, to its highest; the "
                                  "{} by the places of trials, the best at the top. The best trials are in colour.",
                                  facts.request.measure),
              .y_numbers = false};
  for (size_t place = ranking.size(); place-- > 0;) {
    const Trial& trial = trials[static_cast<size_t>(ranking[place])];
    const bool best = place < kMostColours;
    Series series{.name = best ? fmt::format("trial {}", trial.number) : "",
                  .points = {},
                  .colour = best ? static_cast<int>(place) : 7,
                  .faint = !best,
                  .dots = best};
    for (size_t d = 0; d < space.size(); ++d)
      series.points.push_back(
          {static_cast<double>(d), ShareOf(space[d], AxisOf(space[d]), ValueText(trial.settings[d]))});
    series.points.push_back(
        {static_cast<double>(space.size()), 1 - static_cast<double>(place) / static_cast<double>(ranking.size() - 1)});
    chart.series.push_back(std::move(series));
  }
  for (size_t d = 0; d < space.size(); ++d) {
    const FieldAxis axis = AxisOf(space[d]);
    chart.marks.push_back({static_cast<double>(d), LastWord(space[d].field), EndText(space[d], axis, true)});
    chart.x_names.push_back({static_cast<double>(d), EndText(space[d], axis, false)});
  }
  const auto value_of = [&](int number) { return NumberText(trials[static_cast<size_t>(number)].value); };
  chart.marks.push_back({static_cast<double>(space.size()), facts.request.measure, value_of(ranking.front())});
  chart.x_names.push_back({static_cast<double>(space.size()), value_of(ranking.back())});
  DrawChart(chart, html);
}

/// The values of all trials over one field, in the field's own values.
void DrawField(const SweepFacts& facts, const std::vector<Trial>& trials, const std::vector<int>& ranking, size_t field,
               HtmlWriter& html) {
  const Dimension& dimension = facts.request.space[field];
  const FieldAxis axis = AxisOf(dimension);
  Chart chart{.title = dimension.field, .note = axis.log ? "By the logarithm." : ""};
  chart.height = 280;
  chart.whole_x = dimension.kind == Dimension::Kind::kWhole;
  chart.log_x = axis.log;
  chart.x_range = XRange{axis.low, axis.high};
  for (size_t i = 0; i < axis.places.size(); ++i) chart.x_names.push_back({axis.places[i], dimension.values[i]});
  std::ranges::sort(chart.x_names, {}, &XName::x);
  chart.x_label = LastWord(dimension.field);
  chart.y_label = facts.request.measure;
  Series series{.points = {}, .dots = true, .line = false};
  for (const int number : ranking) {
    const Trial& trial = trials[static_cast<size_t>(number)];
    series.points.push_back({PlaceOf(dimension, axis, ValueText(trial.settings[field])), trial.value});
  }
  std::ranges::sort(series.points, {}, &Point::x);
  chart.series.push_back(std::move(series));
  DrawChart(chart, html);
}

void DrawCurves(const SweepFacts& facts, const std::vector<Trial>& trials, const std::vector<int>& ranking,
                HtmlWriter& html) {
  if (facts.request.eta == 0) return;
  Chart chart{.title = "Trials on their way", .note = "Values at the rungs, where trials are stopped, and at the end."};
  chart.x_label = "step";
  chart.y_label = facts.request.measure;
  for (const Trial& trial : trials) {
    if (trial.repeat_of >= 0) continue;
    const auto place = std::find(ranking.begin(), ranking.end(), trial.number) - ranking.begin();
    Series series = CurveOf(facts, trial, place < static_cast<std::ptrdiff_t>(std::min(kMostColours, ranking.size())));
    series.colour = series.faint ? 7 : static_cast<int>(place);
    chart.series.push_back(std::move(series));
  }
  std::stable_sort(chart.series.begin(), chart.series.end(),
                   [](const Series& a, const Series& b) { return a.faint > b.faint; });
  DrawChart(chart, html);
}

}  // namespace

TextTable BestTable(const SweepFacts& facts, const std::vector<Trial>& trials, size_t most) {
  TextTable table{.heading = {"trial"}, .rows = {}};
  for (const Dimension& dimension : facts.request.space) table.heading.push_back(dimension.field);
  table.heading.push_back(facts.request.split + " " + facts.request.measure);
  const bool seeds = facts.request.seeds > 0;
  if (seeds) table.heading.emplace_back("over seeds: median, all");
  table.heading.emplace_back("weights");
  std::vector<int> ranking = Ranking(facts.request, trials);
  ranking.resize(std::min(ranking.size(), most));
  for (const int number : ranking) {
    const Trial& trial = trials[static_cast<size_t>(number)];
    std::vector<std::string> row{std::to_string(number)};
    for (size_t i = 0; i < facts.request.space.size(); ++i) row.push_back(ValueText(trial.settings[i]));
    row.push_back(fmt::format("{:.6g}", trial.value));
    if (seeds) {
      const std::vector<double> values = ValuesOf(trials, number);
      row.push_back(values.size() < 2 ? ""
                                      : fmt::format("{:.6g}, {:.6g} to {:.6g} ({} seeds)", Median(values),
                                                    *std::min_element(values.begin(), values.end()),
                                                    *std::max_element(values.begin(), values.end()), values.size()));
    }
    row.push_back(trial.weights);
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<std::string> SweepFindings(const SweepFacts& facts, const std::vector<Trial>& trials) {
  std::vector<std::string> findings;
  int counts[4] = {};
  double seconds = 0;
  for (const Trial& trial : trials) {
    if (trial.repeat_of < 0) ++counts[static_cast<int>(trial.state)];
    seconds += trial.seconds;
  }
  std::string text = fmt::format("{} of {} trials are done", counts[1], TrialCount(facts.request));
  if (counts[2] > 0) text += fmt::format(", {} were stopped early", counts[2]);
  if (counts[3] > 0) text += fmt::format(", {} FAILED", counts[3]);
  findings.push_back(text + fmt::format("; {:.0f} s of trials in all", seconds));
  const std::vector<int> ranking = Ranking(facts.request, trials);
  if (!ranking.empty()) {
    const Trial& best = trials[static_cast<size_t>(ranking.front())];
    findings.push_back(fmt::format("the best is trial {}, {} {} {:.6g}: {}", best.number, facts.request.split,
                                   facts.request.measure, best.value, fmt::join(best.settings, ", ")));
  }
  std::vector<std::pair<double, std::string>> fields;
  for (const auto& [field, share] : Importance(facts.request, trials)) fields.emplace_back(share, field);
  std::sort(fields.rbegin(), fields.rend());
  std::vector<std::string> shares;
  for (const auto& [share, field] : fields) shares.push_back(fmt::format("{} {:.0f} %", field, share * 100));
  if (!shares.empty())
    findings.push_back(fmt::format("of the variance of the trials' ranks, each field explains by itself: {}",
                                   fmt::join(shares, ", ")));
  for (const Trial& trial : trials)
    if (trial.state == Trial::State::kFailed)
      findings.push_back(fmt::format("trial {} FAILED: {}", trial.number, trial.reason));
  return findings;
}

std::string SweepPage(const SweepFacts& facts, const std::vector<Trial>& trials) {
  const std::vector<int> ranking = Ranking(facts.request, trials);
  return Page("Sweep of " + facts.name, [&](HtmlWriter& html) {
    {
      const auto list = html.Open("ul");
      for (const std::string& finding : SweepFindings(facts, trials)) html.Add("li", finding);
    }
    DrawTable(BestTable(facts, trials, kMostBest), html);
    DrawCoordinates(facts, trials, ranking, html);
    DrawCurves(facts, trials, ranking, html);
    html.Add("h2", "Field by field");
    for (size_t field = 0; field < facts.request.space.size(); ++field) DrawField(facts, trials, ranking, field, html);
    html.Add("h2", "To repeat it");
    html.Add("pre", facts.command);
    html.Add("p", fmt::format("lockstep build {}, on {}; seed {}.", facts.build, facts.host, facts.request.seed));
  });
}

}  // namespace lockstep::launch

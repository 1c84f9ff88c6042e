#include "launch/scale/study_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "launch/page/bar_chart.h"
#include "launch/page/chart.h"
#include "launch/page/html_writer.h"
#include "launch/page/page.h"
#include "launch/scale/limits_text.h"
#include "launch/scale/study_text.h"

namespace lockstep::launch {
namespace {

/// Points of --vary's settings, each a line of its own in a chart.
std::map<std::string, std::vector<const PointSummary*>> ByVariant(const StudySummary& summary, StudyPoint::Role role) {
  std::map<std::string, std::vector<const PointSummary*>> variants;
  for (const PointSummary& point : summary.points)
    if (point.point->role == role && !point.rates.empty()) variants[point.point->variant].push_back(&point);
  for (auto& [variant, points] : variants)
    std::sort(points.begin(), points.end(), [](const PointSummary* a, const PointSummary* b) {
      return std::pair(a->point->ranks, a->point->global_batch) < std::pair(b->point->ranks, b->point->global_batch);
    });
  return variants;
}

double XOf(const StudyFacts& facts, const PointSummary& point) {
  return facts.request.mode == StudyMode::kThroughput ? point.point->global_batch : point.point->ranks;
}

const char* XLabel(const StudyFacts& facts) {
  return facts.request.mode == StudyMode::kThroughput ? "samples a step" : "ranks";
}

/// Lines of `value` by variant, with the spread between runs, and the peer's.
template <typename Value, typename Spread>
Chart LinesOf(const StudyFacts& facts, const StudySummary& summary, const Value& value, const Spread& spread) {
  Chart chart;
  chart.x_label = XLabel(facts);
  int colour = 0;
  const auto add = [&](const std::string& name, const std::vector<const PointSummary*>& points) {
    Series series{.name = name, .points = {}, .colour = colour, .dots = true};
    Band band{"", {}, colour++};
    for (const PointSummary* point : points) {
      series.points.push_back({XOf(facts, *point), value(*point)});
      const Interval interval = spread(*point);
      band.pieces.push_back({XOf(facts, *point), interval.low, interval.high});
    }
    chart.bands.push_back(std::move(band));
    chart.series.push_back(std::move(series));
  };
  for (const auto& [variant, points] : ByVariant(summary, StudyPoint::Role::kPoint))
    add(variant.empty() ? "measured" : variant, points);
  for (const auto& [variant, points] : ByVariant(summary, StudyPoint::Role::kPeer)) add("the peer", points);
  return chart;
}

/// From 1 to the largest number of ranks, on a line.
Series IdealLine(const StudySummary& summary) {
  double most = 1;
  for (const PointSummary& point : summary.points) most = std::max<double>(most, point.point->ranks);
  const double base = summary.base == nullptr ? 1 : summary.base->point->ranks;
  return {.name = "ideal", .points = {{base, 1}, {most, most / base}}, .colour = 7, .faint = true};
}

void DrawSpeedups(const StudyFacts& facts, const StudySummary& summary, HtmlWriter& html) {
  if (facts.request.mode != StudyMode::kThroughput) {
    Chart speedups = LinesOf(
        facts, summary, [](const PointSummary& point) { return point.speedup.estimate; },
        [](const PointSummary& point) { return point.speedup.interval; });
    speedups.title = "Speed-up";
    speedups.note = "Over the base that is named above; bands are intervals between runs.";
    speedups.y_label = "times";
    speedups.y_from_zero = true;
    speedups.series.push_back(IdealLine(summary));
    DrawChart(speedups, html);
    Chart efficiency = LinesOf(
        facts, summary, [](const PointSummary& point) { return point.efficiency * 100; },
        [](const PointSummary& point) {
          const double scale = point.speedup.estimate > 0 ? point.efficiency / point.speedup.estimate * 100 : 0;
          return Interval{point.speedup.interval.low * scale, point.speedup.interval.high * scale, 0};
        });
    efficiency.title = "Efficiency";
    efficiency.note = "Speed-up by the ideal one.";
    efficiency.y_label = "%";
    efficiency.y_from_zero = true;
    DrawChart(efficiency, html);
  }
  Chart rates = LinesOf(
      facts, summary, [](const PointSummary& point) { return point.rate; },
      [](const PointSummary& point) { return point.rate_interval; });
  rates.title = "Samples a second";
  rates.y_from_zero = true;
  if (summary.base != nullptr && facts.request.mode != StudyMode::kThroughput) {
    Series ideal = IdealLine(summary);
    for (Point& point : ideal.points) point.y *= summary.base->rate;
    rates.series.push_back(ideal);
  }
  DrawChart(rates, html);
}

/// What a step of each point is made of.
void DrawPhases(const StudySummary& summary, HtmlWriter& html) {
  constexpr std::pair<const char*, const char*> kParts[] = {{"prepare", "packing weights"},
                                                            {"data", "waiting for samples"},
                                                            {"forward", "forward"},
                                                            {"backward", "backward"},
                                                            {"update", "update"}};
  StackedBars chart{.title = "What a step is made of",
                    .note =
                        "Mean over ranks, of each point's median run. The exchange is what of it nothing hides. The "
                        "mark is a step, median over runs: what lies before it is none of these.",
                    .unit = "ms",
                    .whole_name = "a step"};
  for (const auto& [phase, name] : kParts) chart.parts.emplace_back(name);
  chart.parts.insert(chart.parts.end(), {"exchange, exposed", "waiting for the slowest rank"});
  for (const PointSummary& point : summary.points) {
    if (point.phases.mean.empty()) continue;
    StackedBars::Bar bar{.label = PointName(point), .values = {}, .whole = point.step_seconds * 1e3};
    for (const auto& [phase, name] : kParts) {
      const auto found = point.phases.mean.find(phase);
      bar.values.push_back(found == point.phases.mean.end() ? 0 : found->second * 1e3);
    }
    bar.values.push_back(point.phases.exposed * 1e3);
    bar.values.push_back(point.phases.waiting * 1e3);
    if (point.point->role == StudyPoint::Role::kPoint && point.point->variant.empty())
      bar.label += point.point->ranks == 1 ? " rank" : " ranks";
    chart.bars.push_back(std::move(bar));
  }
  if (!chart.bars.empty()) DrawBars(chart, html);
}

void DrawModel(const StudySummary& summary, HtmlWriter& html) {
  if (!summary.cost) return;
  Chart chart{.title = "A step's time, measured and as the model says",
              .note = "The band is what models of resampled runs say. Beyond the measured points it is a prediction."};
  chart.x_label = "ranks";
  chart.y_label = "ms";
  chart.log_y = true;
  Series measured{.name = "measured", .points = {}, .colour = 0, .dots = true, .line = false};
  double most = 1;
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kPoint && point.step_seconds > 0) {
      measured.points.push_back({static_cast<double>(point.point->ranks), point.step_seconds * 1e3});
      most = std::max<double>(most, point.point->ranks);
    }
  Series model{.name = "model", .points = {}, .colour = 1};
  Band band{"", {}, 1};
  for (double ranks = 1; ranks <= 4 * most; ranks += std::max(1.0, most / 32)) {
    const Interval interval = summary.cost->At(ranks);
    model.points.push_back({ranks, summary.cost->model.At(ranks) * 1e3});
    band.pieces.push_back({ranks, interval.low * 1e3, interval.high * 1e3});
  }
  chart.bands.push_back(std::move(band));
  chart.series.push_back(std::move(model));
  chart.series.push_back(std::move(measured));
  DrawChart(chart, html);
}

void DrawLimits(const StudyFacts& facts, const StudySummary& summary, HtmlWriter& html) {
  const TextTable uses = LinkTable(facts, summary);
  if (facts.hosts.empty() && uses.rows.empty()) return;
  html.Add("h2", "What hosts and links can do");
  for (const TextTable& table : {HostTable(facts.hosts), SlowLinkTable(facts.hosts)})
    if (!table.rows.empty()) DrawTable(table, html);
  html.Add(
      "p", {{"class", "note"}},
      "Measured in the same study, before its runs: matrix products and copies on the cores of one rank; links between "
      "the first ranks of each two hosts, one pair after the other, and between two ranks where a host stands beside "
      "itself. Latency is half of a round trip.");
  if (uses.rows.empty()) return;
  DrawTable(uses, html);
  html.Add(
      "p", {{"class", "note"}},
      "Sent: in a step, by the host that sends most; the lower bound is that of any all-reduce of float32 gradients, "
      "2 (h - 1) / h of them. Links alone: that, over the slowest link of the host; what of it lies behind the lanes "
      "is exchange.");
}

void DrawFindings(const StudyFacts& facts, const StudySummary& summary, HtmlWriter& html) {
  html.Add("p", ModeSentence(facts) + ".");
  const auto list = html.Open("ul");
  for (const std::string& finding : Findings(facts, summary)) html.Add("li", finding);
}

void DrawRepeating(const StudyFacts& facts, const std::string& recipe, HtmlWriter& html) {
  html.Add("h2", "To repeat it");
  html.Add("pre", facts.command);
  html.Add("p", fmt::format("lockstep build {}, on {} ({}); {} runs a point of {} steps, in an order drawn by seed {}.",
                            facts.build, facts.host, facts.cpu, facts.request.repeats, facts.request.steps,
                            facts.request.seed));
  const auto details = html.Open("details");
  html.Add("summary", "The recipe");
  html.Add("pre", recipe);
}

}  // namespace

std::string StudyPage(const StudyFacts& facts, const StudySummary& summary, const std::string& recipe) {
  return Page("Scaling of " + facts.name, [&](HtmlWriter& html) {
    DrawFindings(facts, summary, html);
    DrawTable(PointTable(facts, summary), html);
    if (const TextTable peer = PeerTable(summary); !peer.rows.empty()) {
      html.Add("h2", "Beside " + facts.request.against);
      DrawTable(peer, html);
    }
    DrawSpeedups(facts, summary, html);
    html.Add("h2", "Where the time goes");
    DrawTable(PhaseTable(summary), html);
    DrawPhases(summary, html);
    DrawLimits(facts, summary, html);
    DrawModel(summary, html);
    DrawRepeating(facts, recipe, html);
  });
}

}  // namespace lockstep::launch

#include "launch/scale/summary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace lockstep::launch {
namespace {

constexpr uint64_t kSeed = 17;

/// The run whose rate is the median one, or next to it.
const RunResult* MedianRun(const std::vector<const RunResult*>& runs) {
  if (runs.empty()) return nullptr;
  std::vector<const RunResult*> sorted = runs;
  std::sort(sorted.begin(), sorted.end(),
            [](const RunResult* a, const RunResult* b) { return a->samples_per_s < b->samples_per_s; });
  return sorted[sorted.size() / 2];
}

/// The lanes of the other ranks' median against the slowest's.
void FindSlowest(const RunResult& run, PhaseTimes& times) {
  if (run.ranks.size() < 2) return;
  const auto slowest = std::max_element(run.ranks.begin(), run.ranks.end(),
                                        [](const auto& a, const auto& b) { return a.slowest < b.slowest; });
  times.slowest_rank = static_cast<int>(slowest - run.ranks.begin());
  times.slowest_share = static_cast<double>(slowest->slowest) / static_cast<double>(std::max<uint64_t>(1, run.steps));
  std::vector<double> others;
  for (const records::RankTimes& rank : run.ranks)
    if (&rank != &*slowest) others.push_back(rank.lanes);
  if (const double median = Median(others); median > 0) times.slowest_excess = slowest->lanes / median - 1;
}

PhaseTimes PhasesOf(const RunResult& run, const HostLimits& limits) {
  PhaseTimes times;
  const double steps = static_cast<double>(std::max<uint64_t>(1, run.steps));
  const double ranks = static_cast<double>(std::max<size_t>(1, run.ranks.size()));
  double longest = 0;
  for (const records::RankTimes& rank : run.ranks) longest = std::max(longest, rank.lanes);
  for (const records::RankTimes& rank : run.ranks) {
    for (const auto& [phase, seconds] : rank.phases) {
      times.mean[phase] += seconds / steps / ranks;
      times.most[phase] = std::max(times.most[phase], seconds / steps);
    }
    times.sent_bytes += static_cast<double>(rank.sent_bytes) / steps;
    const auto exchange = rank.phases.find("exchange");
    if (exchange == rank.phases.end()) continue;
    const double waiting = std::min(exchange->second, longest - rank.lanes);
    times.waiting += waiting / steps / ranks;
    times.exposed += (exchange->second - waiting) / steps / ranks;
  }
  FindSlowest(run, times);
  times.links = LinkUseOf(run, limits);
  return times;
}

double MedianOr(const std::vector<double>& values) { return values.empty() ? 0 : Median(values); }

PointSummary SummarizePoint(const StudyFacts& facts, const StudyPoint& point, const std::vector<RunResult>& results) {
  PointSummary summary{.point = &point};
  std::vector<const RunResult*> good;
  std::vector<double> joules, targets;
  std::set<std::string> reasons;
  std::set<std::string> hosts;
  for (const RunResult& result : results) {
    if (result.point != point.name) continue;
    if (!result.good()) {
      ++summary.failed;
      reasons.insert(result.reason);
      continue;
    }
    good.push_back(&result);
    summary.rates.push_back(result.samples_per_s);
    summary.seconds.push_back(result.seconds_per_step);
    if (result.joules_per_sample > 0) joules.push_back(result.joules_per_sample);
    if (result.target_seconds > 0) targets.push_back(result.target_seconds);
    for (const records::RankTimes& rank : result.ranks) hosts.insert(rank.host);
  }
  summary.reasons.assign(reasons.begin(), reasons.end());
  if (good.empty()) return summary;
  summary.rate = Median(summary.rates);
  summary.step_seconds = Median(summary.seconds);
  summary.rate_interval = MedianInterval(summary.rates, kWantedCoverage);
  summary.joules_per_sample = MedianOr(joules);
  summary.target_seconds = MedianOr(targets);
  if (!hosts.empty())
    summary.node_hours_per_epoch = facts.samples_per_epoch / summary.rate / 3600 * static_cast<double>(hosts.size());
  if (const RunResult* median = MedianRun(good)) summary.phases = PhasesOf(*median, facts.hosts);
  return summary;
}

void CompareWithBase(const StudyFacts& facts, StudySummary& summary) {
  for (const PointSummary& point : summary.points) {
    const bool own =
        point.point->role == StudyPoint::Role::kPoint && point.point->variant == summary.points.front().point->variant;
    if (own && point.rate > 0 && (summary.base == nullptr || point.point->ranks < summary.base->point->ranks))
      summary.base = &point;
  }
  if (summary.base == nullptr) return;
  summary.fastest_base = summary.base;
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kBase && point.rate > summary.fastest_base->rate &&
        summary.base->point->ranks == 1)
      summary.fastest_base = &point;
  for (PointSummary& point : summary.points) {
    if (point.rates.empty()) continue;
    point.speedup = RatioOf(point.rates, summary.base->rates, kWantedCoverage);
    const double ideal = static_cast<double>(point.point->ranks) / summary.base->point->ranks;
    point.efficiency = facts.request.mode == StudyMode::kThroughput ? 0 : point.speedup.estimate / ideal;
  }
}

/// Which runs ought to end with the same weights: those of a strong study that vary nothing.
void CompareWeights(const StudyFacts& facts, const std::vector<RunResult>& results, StudySummary& summary) {
  summary.one_function = facts.request.mode == StudyMode::kStrong;
  const std::string variant = facts.points.front().variant;
  for (const RunResult& result : results) {
    const PointSummary* point = summary.Find(result.point);
    if (point == nullptr || !result.good() || result.weights.empty()) continue;
    const StudyPoint::Role role = point->point->role;
    const bool same = role == StudyPoint::Role::kPoint || role == StudyPoint::Role::kTwin;
    if (same && point->point->variant == variant) ++summary.weights[result.weights];
  }
}

void FitModel(const StudyFacts& facts, StudySummary& summary) {
  if (facts.request.mode == StudyMode::kThroughput) return;
  std::vector<TimedRun> runs;
  std::set<double> ranks;
  for (const PointSummary& point : summary.points) {
    if (point.point->role != StudyPoint::Role::kPoint || point.point->variant != facts.points.front().variant) continue;
    for (const double seconds : point.seconds) {
      const double p = point.point->ranks;
      // A weak study's step does p times the work: by sample it is comparable with a strong one's.
      runs.push_back({p, facts.request.mode == StudyMode::kWeak ? seconds / p : seconds});
      ranks.insert(p);
    }
  }
  if (ranks.size() < 2) return;
  summary.cost = FitCostWithIntervals(runs, kSeed);
  const double most = *ranks.rbegin();
  summary.knee = Knee(summary.cost->model, 64 * most);
  std::vector<double> candidates;
  for (double p = 1; p <= 4 * most; p *= 2)
    if (!ranks.contains(p)) candidates.push_back(p);
  summary.next_point = NextPoint(*summary.cost, candidates);
}

}  // namespace

const PointSummary* StudySummary::Find(const std::string& name) const {
  for (const PointSummary& point : points)
    if (point.point->name == name) return &point;
  return nullptr;
}

StudySummary Summarize(const StudyFacts& facts, const std::vector<RunResult>& results) {
  StudySummary summary;
  for (const StudyPoint& point : facts.points) summary.points.push_back(SummarizePoint(facts, point, results));
  if (summary.points.empty()) return summary;
  CompareWithBase(facts, summary);
  const PointSummary& first = summary.points.front();
  for (const PointSummary& point : summary.points)
    if (point.point->role == StudyPoint::Role::kTwin && !point.rates.empty() && !first.rates.empty())
      summary.noise = RatioOf(point.rates, first.rates, kWantedCoverage);
  CompareWeights(facts, results, summary);
  FitModel(facts, summary);
  return summary;
}

std::string PointName(const PointSummary& point) {
  switch (point.point->role) {
    case StudyPoint::Role::kTwin:
      return fmt::format("{} once more", point.point->ranks);
    case StudyPoint::Role::kBase:
      return "1, " + point.point->settings.front();
    case StudyPoint::Role::kPeer:
      return fmt::format("{}, the peer", point.point->ranks);
    case StudyPoint::Role::kPoint:
      break;
  }
  return point.point->variant.empty() ? std::to_string(point.point->ranks)
                                      : fmt::format("{}, {}", point.point->ranks, point.point->variant);
}

std::string WeightsLine(const StudySummary& summary) {
  const int runs = std::accumulate(summary.weights.begin(), summary.weights.end(), 0,
                                   [](int sum, const auto& weights) { return sum + weights.second; });
  if (runs == 0) return "no run has ended";
  if (!summary.one_function) return "points are of different batches, so that their weights differ";
  if (summary.weights.size() == 1)
    return fmt::format("{} ended with weights {}", runs == 1 ? "the one run" : fmt::format("all {} runs", runs),
                       summary.weights.begin()->first);
  std::vector<std::string> parts;
  for (const auto& [weights, count] : summary.weights) parts.push_back(fmt::format("{} with {}", count, weights));
  return fmt::format("runs that ought to agree DID NOT end with the same weights: {}", fmt::join(parts, ", "));
}

std::string NoiseLine(const StudySummary& summary) {
  if (!summary.noise) return "";
  const auto percent = [](double ratio) { return (ratio - 1) * 100; };
  const Interval& interval = summary.noise->interval;
  std::string line = fmt::format(
      "two points that are alike differ by {:+.1f} % ({:+.1f} to {:+.1f} %, coverage {:.0f} %)",
      percent(summary.noise->estimate), percent(interval.low), percent(interval.high), interval.coverage * 100);
  constexpr double kFewRuns = 0.5;  // of coverage
  if (interval.coverage < kFewRuns) return line + ": too few runs to tell what is noise (give more --repeats)";
  if (!interval.Holds(1)) line += ": MORE THAN NOISE EXPLAINS, so that something in this study drifts";
  return line;
}

}  // namespace lockstep::launch

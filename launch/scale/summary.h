// What the runs of a study come to: a pure function of its facts and rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/scale/cost_model.h"
#include "launch/scale/link_use.h"
#include "launch/scale/statistics.h"
#include "launch/scale/study_folder.h"

namespace lockstep::launch {

/// Where a step's time goes on the ranks of a point, in seconds: of the median run.
struct PhaseTimes {
  std::map<std::string, double> mean, most;  ///< by phase, over ranks
  /// Of the wait behind the lanes (exchange): what is for the lanes of the slowest rank, and the rest.
  double waiting = 0, exposed = 0;
  int slowest_rank = -1;      ///< whose lanes took longest in most steps
  double slowest_share = 0;   ///< of the steps
  double slowest_excess = 0;  ///< how much longer its lanes take than the median rank's, as a share
  double sent_bytes = 0;      ///< a step, all ranks together
  LinkUse links = {};         ///< of several hosts
};

struct PointSummary {
  const StudyPoint* point = nullptr;
  std::vector<double> rates = {};         ///< samples a second, of each good run
  std::vector<double> seconds = {};       ///< of a step, likewise
  std::vector<std::string> reasons = {};  ///< of the failed runs, each once
  int failed = 0;
  double rate = 0, step_seconds = 0;  ///< medians; 0: no run is good
  Interval rate_interval = {};
  Ratio speedup = {};     ///< over the base
  double efficiency = 0;  ///< speedup by the ideal one
  PhaseTimes phases = {};
  double joules_per_sample = 0, target_seconds = 0;  ///< medians; 0: unknown
  double node_hours_per_epoch = 0;
};

struct StudySummary {
  std::vector<PointSummary> points = {};       ///< of StudyFacts::points, in their order
  const PointSummary* base = nullptr;          ///< that speed-ups are over: the first point of the first variant
  const PointSummary* fastest_base = nullptr;  ///< the fastest of it and of one rank with other lanes
  std::optional<Ratio> noise = {};             ///< of the twin over the first point
  /// Hashes of the weights, and the runs that ended with them, of points that ought to agree.
  std::map<std::string, int> weights = {};
  bool one_function = false;            ///< all points compute the same function
  std::optional<FittedCost> cost = {};  ///< of strong and weak studies with at least two numbers of ranks
  double knee = 0, next_point = 0;

  const PointSummary* Find(const std::string& name) const;
};
constexpr double kWantedCoverage = 0.9;

/// `facts` outlives the summary.
StudySummary Summarize(const StudyFacts& facts, const std::vector<RunResult>& results);

/// How tables call a point: "4", "4, train.lanes=8", "1 once more", "2, the peer".
std::string PointName(const PointSummary& point);
/// "all 28 runs ended with weights 704ab93beca40751", or what else is to be said of them.
std::string WeightsLine(const StudySummary& summary);
/// "two points that are alike differ by 0.4 % (-0.8 to 1.6 %)": the noise floor; empty where there is none.
std::string NoiseLine(const StudySummary& summary);

}  // namespace lockstep::launch

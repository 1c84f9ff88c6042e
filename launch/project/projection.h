// From a measured study to numbers of ranks that nobody has: what a rank computes is taken from the study, what ranks
// send each other is simulated (simulate_exchange.h). Pure functions of the study, the job and the network.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "comm/slice_map.h"
#include "launch/project/network.h"
#include "launch/project/simulate_exchange.h"
#include "launch/scale/statistics.h"
#include "launch/scale/summary.h"

namespace lockstep::launch {

/// What a job's compiled plans say.
struct ProjectedJob {
  int lanes = 1;  ///< of the recipe
  uint64_t global_batch = 1;
  std::vector<ElementRange> buckets = {};
  std::vector<double> ready = {};  ///< by bucket, as StepLoad::ready
  DType wire = DType::kF32;        ///< of sums over lanes
  bool share_at_once = true;       ///< else it clips, or skips steps that are not finite
  int state_arrays = 0;            ///< of the optimizer

  /// Bytes of an element on its way to its owner, as part of a sum, and back, as a new float: the mean of both.
  double MeanBytes() const { return 0.5 * static_cast<double>(SizeOf(wire) + SizeOf(DType::kF32)); }
};

/// What a study has measured of a rank's own part of a step. Seconds of a step.
struct MeasuredRank {
  int ranks = 1;                   ///< of the point with most ranks: a projected rank computes as one of these
  double lanes_per_rank = 1;       ///< there
  std::vector<double> lanes = {};  ///< mean over ranks, of each run
  double backward = 0;             ///< of all of a rank's lanes
  double update = 0;               ///< of an element, with its sum on one host; what is hidden beside lanes left out
  double fixed = 0;  ///< whatever the lanes: packing weights, and what is neither lanes, updates nor exchange
  std::vector<double> factors = {};  ///< steps of the point with fewest ranks over their median: how they vary
  double base_rate = 0;              ///< samples/s of the base, over which speed-ups are
  int base_ranks = 1;
};
/// `factors` are left empty. Throws Error(kUsage) where no point of the study has been measured rank by rank, or on
/// GPUs.
MeasuredRank MeasureRank(const StudyFacts& facts, const std::vector<RunResult>& results, const StudySummary& summary,
                         const ProjectedJob& job);

/// The defaults of a network, with rate and latency of links as the study has measured them between its hosts: medians.
/// Of a message's half round trip, what its two ranks do themselves (Network::message_us) is no latency.
Network MeasuredNetwork(const StudyFacts& facts);

/// What the simulation says of a point that was measured.
struct CheckedPoint {
  int ranks = 1, hosts = 1;
  double simulated = 0, measured = 0;  ///< seconds of a step
};

struct ProjectionRequest {
  StudyMode mode = StudyMode::kStrong;
  Network network = {};
  int steps = 25;  ///< that are simulated, each with a draw of its own; fewer where messages are many
  uint64_t seed = 0;
};

struct ProjectedPoint {
  int ranks = 1, hosts = 1, steps = 0;
  uint64_t global_batch = 1;
  SimulatedStep median = {};                                           ///< the simulated step of median length
  double step_seconds = 0;                                             ///< of all of a step, median
  Interval step_interval = {};                                         ///< nine tenths of the simulated steps
  double fixed = 0, lanes = 0, waiting = 0, exposed = 0, records = 0;  ///< of the median step, which they add up to
  double rate = 0, speedup = 0, efficiency = 0;
  double host_bytes = 0, least_host_bytes = 0;  ///< sent a step by the host that sends most, and the least possible
  std::string bound = {};                       ///< what most of the step goes to
  ValueCheck values = {};
  std::optional<Interval> model = {};  ///< what the study's cost model says of step_seconds
};

/// The study's own points, simulated on as many hosts as they ran on. `request` has the study's mode.
std::vector<CheckedPoint> CheckPoints(const StudyFacts& facts, const std::vector<RunResult>& results,
                                      const ProjectionRequest& request, const ProjectedJob& job,
                                      const MeasuredRank& measured, const StudySummary& summary);

/// Throws Error(kUsage) where a strong study's ranks are more than its lanes.
ProjectedPoint ProjectPoint(int ranks, const ProjectionRequest& request, const ProjectedJob& job,
                            const MeasuredRank& measured, const StudySummary& summary);

}  // namespace lockstep::launch

#include "trainer/plan/lane_plan.h"

#include "base/error.h"
#include "base/lane_tree.h"

namespace lockstep::plan {

namespace {

/// Each rank's lanes to its executors.
comm::LanePlan DealToExecutors(const std::vector<LaneRange>& runs, const std::vector<int>& executors) {
  comm::LanePlan plan;
  for (size_t r = 0; r < executors.size(); ++r) {
    CHECK(executors[r] >= 1 && executors[r] <= runs[r].size());
    plan.emplace_back();
    for (LaneRange part : DealLanes(runs[r].size(), executors[r]))
      plan.back().push_back({runs[r].begin + part.begin, runs[r].begin + part.end});
  }
  return plan;
}

}  // namespace

comm::LanePlan PlanLanes(int lanes, const std::vector<int>& executors) {
  return DealToExecutors(DealLanes(lanes, static_cast<int>(executors.size())), executors);
}

comm::LanePlan LanesOf(int lanes, const CorePlan& cores) {
  const std::vector<int> executors = ExecutorsOf(cores);
  if (cores.front().lanes == 0) return PlanLanes(lanes, executors);
  std::vector<LaneRange> runs;
  for (const CoreShare& share : cores) {
    const int begin = runs.empty() ? 0 : runs.back().end;
    runs.push_back({begin, begin + share.lanes});
  }
  CHECK(runs.back().end == lanes, "{} lanes of {} are dealt", runs.back().end, lanes);
  return DealToExecutors(runs, executors);
}

std::vector<int> BalanceLanes(int lanes, const std::vector<int>& executors, const std::vector<double>& speeds) {
  CHECK(executors.size() == speeds.size() && lanes >= static_cast<int>(speeds.size()));
  std::vector<int> dealt(speeds.size(), 1);
  const auto time = [&](size_t rank, int count) {
    const int turns = (count + executors[rank] - 1) / executors[rank];
    return turns / speeds[rank];
  };
  for (int lane = static_cast<int>(speeds.size()); lane < lanes; ++lane) {
    size_t best = 0;
    for (size_t rank = 1; rank < speeds.size(); ++rank)
      if (time(rank, dealt[rank] + 1) < time(best, dealt[best] + 1)) best = rank;
    ++dealt[best];
  }
  return dealt;
}

}  // namespace lockstep::plan

#include "trainer/plan/lane_plan.h"

#include "base/error.h"
#include "base/lane_tree.h"

namespace lockstep::plan {

comm::LanePlan PlanLanes(int lanes, const std::vector<int>& executors) {
  const std::vector<LaneRange> runs = DealLanes(lanes, static_cast<int>(executors.size()));
  comm::LanePlan plan;
  for (size_t r = 0; r < executors.size(); ++r) {
    CHECK(executors[r] >= 1 && executors[r] <= runs[r].size());
    plan.emplace_back();
    for (LaneRange part : DealLanes(runs[r].size(), executors[r]))
      plan.back().push_back({runs[r].begin + part.begin, runs[r].begin + part.end});
  }
  return plan;
}

}  // namespace lockstep::plan

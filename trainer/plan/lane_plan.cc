#include "trainer/plan/lane_plan.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/lane_tree.h"

namespace lockstep::plan {

std::vector<int> PlanExecutors(const std::vector<RankCores>& ranks, int lanes, int lane_threads) {
  std::map<std::pair<int, int>, int> users;  // (node, core) -> ranks that may use it
  for (const RankCores& rank : ranks)
    for (int core : rank.cores) ++users[{rank.host, core}];
  const std::vector<LaneRange> runs = DealLanes(lanes, static_cast<int>(ranks.size()));
  std::vector<int> executors;
  for (size_t r = 0; r < ranks.size(); ++r) {
    double share = 0;
    for (int core : ranks[r].cores) share += 1.0 / users[{ranks[r].host, core}];
    const int cores = std::min(static_cast<int>(share + 1e-9), ranks[r].usable);
    const int wanted = ranks[r].requested > 0 ? ranks[r].requested : cores / std::max(1, lane_threads);
    executors.push_back(std::clamp(wanted, 1, runs[r].size()));
  }
  return executors;
}

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

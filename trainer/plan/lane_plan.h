// Who runs which lanes: pure functions of what the ranks said they have.
#pragma once

#include <vector>

#include "comm/exchange.h"

namespace lockstep::plan {

/// What a rank may use.
struct RankCores {
  int host = 0;
  std::vector<int> cores;  ///< its affinity mask
  int usable = 1;          ///< bounded by quota and scheduler
  int requested = 0;       ///< executors asked for on the command line; 0: none
};

/// Executors of each rank: as requested, else its fair share of the cores that its node's ranks may use, at least 1; at
/// most its lanes either way. `lane_threads` cores make one executor.
std::vector<int> PlanExecutors(const std::vector<RankCores>& ranks, int lanes, int lane_threads);

/// Deals lanes to ranks, and each rank's lanes to its executors, in order. REQUIRES: 1 <= ranks <= lanes.
comm::LanePlan PlanLanes(int lanes, const std::vector<int>& executors);

}  // namespace lockstep::plan

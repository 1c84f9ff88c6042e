// Who runs which lanes: a pure function of how many executors each rank has.
#pragma once

#include <vector>

#include "comm/exchange.h"
#include "trainer/plan/core_plan.h"

namespace lockstep::plan {

/// Deals lanes to ranks, and each rank's lanes to its executors, in order. REQUIRES: 1 <= ranks <= lanes.
comm::LanePlan PlanLanes(int lanes, const std::vector<int>& executors);
/// The same with as many lanes as each rank's share says, where it does.
comm::LanePlan LanesOf(int lanes, const CorePlan& cores);

/// How many lanes each rank gets so that the slowest is done soonest: `speeds` are those of an executor of each, above
/// 0. An executor has its lanes one after the other. Of equals the first gets one more. REQUIRES: as PlanLanes.
std::vector<int> BalanceLanes(int lanes, const std::vector<int>& executors, const std::vector<double>& speeds);

}  // namespace lockstep::plan

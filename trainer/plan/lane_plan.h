// Who runs which lanes: a pure function of how many executors each rank has.
#pragma once

#include <vector>

#include "comm/exchange.h"

namespace lockstep::plan {

/// Deals lanes to ranks, and each rank's lanes to its executors, in order. REQUIRES: 1 <= ranks <= lanes.
comm::LanePlan PlanLanes(int lanes, const std::vector<int>& executors);

}  // namespace lockstep::plan

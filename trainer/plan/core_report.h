// What a start says of its cores, in words: a pure function of what PlanCores was given and what it answered.
#pragma once

#include <string>
#include <vector>

#include "trainer/plan/core_plan.h"

namespace lockstep::plan {

struct CoreReport {
  std::vector<std::string> notes;  ///< one line a host
  std::vector<std::string> warnings;
};

struct CoreReportOptions {
  std::vector<std::string> host_names;  ///< [ranks]
  int lanes = 1, lane_threads = 1, global_batch = 1;
  bool under_mpirun = false;  ///< which by default binds a rank to a core
};

/// REQUIRES: `plan` is PlanCores(ranks, options.lanes, options.lane_threads).
CoreReport DescribeCorePlan(const std::vector<RankCores>& ranks, const CorePlan& plan,
                            const CoreReportOptions& options);

}  // namespace lockstep::plan

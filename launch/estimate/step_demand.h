// What a step of a job asks for, from its plans.
#pragma once

#include "comm/exchange.h"
#include "launch/estimate/step_estimate.h"
#include "trainer/plan/job_plans.h"
#include "trainer/run/job.h"

namespace lockstep::launch {

/// The ranks that are planned for: all of one host, dealt as lanes say.
struct PlannedRanks {
  comm::LanePlan lanes;
  int hosts = 1;  ///< each with equally many ranks, the last maybe with fewer

  int ranks() const { return static_cast<int>(lanes.size()); }
  int per_host() const { return (ranks() + hosts - 1) / hosts; }
};

/// Where samples differ in length, some dozen steps over the whole run stand for all. How long a batch takes to be made
/// is measured, here and now, for a quarter of a second at most, in time of the processor: data are in memory by then.
StepDemand DemandOf(const run::Job& job, const plan::JobPlans& plans, const PlannedRanks& ranks);

}  // namespace lockstep::launch

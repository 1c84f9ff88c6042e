// The plan of cores (trainer/plan/core_plan.h) on its way: what a rank has goes to the coordinator in its Hello, each
// rank's share comes back in the StartPlan.
#pragma once

#include "trainer/plan/core_plan.h"
#include "trainer/run/job.h"
#include "trainer/run/messages.pb.h"

namespace lockstep::run {

/// What this process may use. LOCKSTEP_PIN=always or never overrides where executors are pinned (rank 0's counts);
/// throws Error(kUsage) where it is something else.
Cores DescribeOwnCores();

plan::RankCores CoresOf(const Cores& message, int host, int requested);
plan::Pinning PinningOf(const Cores& message);

void SetCorePlan(const plan::CorePlan& plan, StartPlan* message);
plan::CorePlan CorePlanOf(const StartPlan& message);

/// Collective, for what has no coordinator: the same plan on every rank. `requested` may differ between ranks.
plan::CorePlan AgreeOnCores(const Job& job, int requested);

}  // namespace lockstep::run

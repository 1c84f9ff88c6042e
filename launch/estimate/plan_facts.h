// Everything that `lockstep plan` says of a recipe, and how it is said: as text, or as one JSON object.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/estimate/gpu_model.h"
#include "launch/estimate/step_demand.h"
#include "launch/estimate/step_estimate.h"
#include "launch/recipe/recipe.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/memory_estimate.h"
#include "trainer/run/job.h"
#include "trainer/step/device/device_memory.h"

namespace lockstep::launch {

struct PlanFacts {
  const Recipe& recipe;  ///< resolved
  const run::Job& job;
  const plan::JobPlans& plans;
  PlannedRanks ranks = {};
  // Of rank 0: on the host, or on a GPU.
  plan::MemoryEstimate memory = {};
  int64_t memory_limit = 0;
  std::optional<step::DeviceMemoryPlan> device = std::nullopt;
  int64_t device_free = 0;

  std::optional<StepEstimate> time = std::nullopt;
  std::string machine = {};  ///< by whose measurement: "node7 (AMD EPYC 9R14, 96 cores)"
  std::string why_no_time = {};
  std::string network = {};          ///< between hosts, as it is taken to be: "links of 100 Gbit/s each way, 5 us ..."
  std::vector<KindTime> kinds = {};  ///< of a step on a GPU, which is estimated and not measured
};

std::string PlanText(const PlanFacts& facts);
std::string PlanJson(const PlanFacts& facts);

/// Seconds of an epoch's steps: without evaluations and checkpoints.
double EpochSeconds(const PlanFacts& facts);

}  // namespace lockstep::launch

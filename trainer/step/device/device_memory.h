// What a rank will hold in its GPU's memory, from plans alone: shown by `plan`, compared with what is free before
// anything is allocated.
#pragma once

#include <cstdint>
#include <string>

#include "base/device.h"
#include "base/lane_tree.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/run_config.h"

namespace lockstep::step {

struct DeviceMemoryPlan {
  int64_t parameters = 0;   ///< the weight arena
  int64_t gradients = 0;    ///< a lane's, the sums of lanes, and what other ranks send
  int64_t optimizer = 0;    ///< owned slices of optimizer state, EMA, best weights; the summed gradient of clipping
  int64_t activations = 0;  ///< the larger arena of training and evaluation
  int64_t workspace = 0;    ///< of libraries
  int64_t packed = 0;       ///< copies of weights in other layouts or types
  int64_t inputs = 0;       ///< a batch of training and of evaluation, and on their way up two more and one
  int64_t tables = 0;       ///< what kernels read and write besides: sums, rules, norms and hashes of chunks

  int64_t all() const {
    return parameters + gradients + optimizer + activations + workspace + packed + inputs + tables;
  }
  /// "parameters 97.5 MiB, gradients ..., tables ...".
  std::string ToString() const;
};

/// Of `rank` of `world_size`, whose lanes are `run`.
DeviceMemoryPlan PlanDeviceMemory(const plan::RunConfig& config, const plan::JobPlans& plans, LaneRange run, int rank,
                                  int world_size);

/// Throws Error(kMemory), with the plan, where the device has less free than the plan needs.
void CheckDeviceMemory(lockstep::Device& device, const DeviceMemoryPlan& memory);

}  // namespace lockstep::step

// What a rank will hold in memory, from plans alone: shown by `plan`, compared with the limit before anything is
// allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/exchange.h"
#include "data/dataset.h"
#include "trainer/plan/job_plans.h"

namespace lockstep::plan {

/// Bytes of one rank, save `weights` and `data`.
struct MemoryEstimate {
  int64_t weights = 0;      ///< the parameter arena, one per node
  int64_t gradients = 0;    ///< pieces and pending sums of lanes
  int64_t optimizer = 0;    ///< owned slices of optimizer state, EMA, best weights
  int64_t activations = 0;  ///< activation arenas and workspaces of executors
  int64_t packed = 0;       ///< packed copies of weights
  int64_t checkpoint = 0;   ///< the copy of owned state that is written while training goes on
  int64_t data = 0;         ///< samples held by the rank
  int64_t batches = 0;      ///< lane batches that the loader has ready
  int64_t answers = 0;      ///< what evaluations hold besides: decoders, where answers are written token by token
  int64_t process = 0;      ///< the program: its code and libraries, threads' stacks, prepared kernels
  int64_t peers = 0;  ///< of the gradients that other ranks of the host hold: what this rank sums, mapped here too

  int64_t rank() const {
    return gradients + optimizer + activations + packed + checkpoint + data + batches + answers + process;
  }
  /// What the system counts as the rank's resident memory at most: shared memory is in each rank's that touches it.
  int64_t resident() const { return rank() + weights + peers; }
};

/// Of rank `rank` of `ranks.plan`. `state_arrays`: arrays of owned state, the summed gradient of clipping included.
/// `saves`: checkpoints are written before the end.
MemoryEstimate EstimateMemory(const JobPlans& plans, const comm::ExchangeOptions& ranks, int rank, int state_arrays,
                              bool saves);

/// What a rank's memory follows from.
struct MemoryParts {
  const RunConfig& config;
  const Splits& splits;
  const JobPlans& plans;
  const comm::LanePlan& lanes;
};
/// All of it, also what does not follow from programs. The first `local_ranks` ranks are on one host.
MemoryEstimate EstimateRank(const MemoryParts& parts, int rank, int local_ranks);

/// Throws Error(kMemory), with the plan by kind, where the ranks of a host (`plan` and `local_ranks` of it) need more
/// memory than `limit` bytes.
void CheckMemory(const RunConfig& config, const Splits& splits, const JobPlans& plans, const comm::LanePlan& plan,
                 const std::vector<int>& local_ranks, size_t limit);

}  // namespace lockstep::plan

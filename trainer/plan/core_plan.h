// Who computes on which cores: one pure function of what all ranks said of theirs. The coordinator deals its result;
// nothing else infers executors, pins or crowding. Bits don't depend on it.
//
// Ranks whose masks overlap (all ranks of a host under mpirun --bind-to none, in a container with a cpuset, under
// taskset, or in a Slurm allocation of a part of a host) get disjoint parts of what they share; ranks with masks of
// their own (mpirun --bind-to core) keep them. Ranks with the same mask get equally many executors: a step is as slow
// as its slowest rank.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/machine/core_topology.h"

namespace lockstep::plan {

/// What a rank may use.
struct RankCores {
  int host = 0;
  std::vector<Core> cores;  ///< its affinity mask, by number, ascending
  int machine = 0;          ///< cores of its host
  int quota = 0;  ///< cores that its control group may use, shared with the ranks of the same group; 0: no quota
  uint64_t quota_group = 0;  ///< the same for the ranks of one host that share the quota
  int bound = 0;             ///< cores that the scheduler gave this rank alone, by number only; 0: no such bound
  int requested = 0;         ///< executors asked for on the command line; 0: none
};

/// Whether executors are pinned.
///
/// kInsideMasks: where the rank's mask is smaller than the machine. Such a mask says that somebody dealt cores out, so
/// the rank's part of it is its own for the length of the job. Where the mask is the whole machine, other programs
/// may run anywhere on it, and an executor that is pinned can't give way to them: there Linux places the threads.
enum class Pinning { kInsideMasks, kAlways, kNever };

/// What a rank computes with.
struct CoreShare {
  int executors = 1;
  std::vector<std::vector<int>> pins;  ///< [executors][lane_threads] core numbers, ascending; empty: not pinned
  /// Whether the threads that compute are more than the cores among this rank and those that it shares cores with.
  bool crowded = false;
  int lanes = 0;  ///< of the rank; 0, of all ranks: they have equally many
};
using CorePlan = std::vector<CoreShare>;  ///< by rank

/// Each rank's executors: as requested, else its part of the cores that its host's ranks may use, at least 1; at most
/// its lanes either way. `lane_threads` cores make one executor. An executor's cores lie together; where a rank has
/// more cores than it needs, it takes whole physical cores before second hardware threads. A crowded rank isn't pinned:
/// Linux divides what there is more evenly than any plan of whole cores. REQUIRES: 1 <= ranks <= lanes.
CorePlan PlanCores(const std::vector<RankCores>& ranks, int lanes, int lane_threads,
                   Pinning pinning = Pinning::kInsideMasks);

std::vector<int> ExecutorsOf(const CorePlan& plan);

}  // namespace lockstep::plan

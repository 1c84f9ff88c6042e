// How many cores this process may compute on, and which.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

/// The cores that this process may use: its affinity mask, bounded by the cgroup's cpu quota (v1 and v2, rounded up)
/// and by SLURM_CPUS_PER_TASK where set.
struct CoreBudget {
  std::vector<int> allowed;  ///< core numbers of the affinity mask, ascending
  int machine = 0;           ///< cores that are online
  int quota = 0;             ///< cores by cgroup quota; 0 where there is none
  uint64_t quota_group = 0;  ///< what tells the group of that quota from others: its processes share it
  int slurm = 0;             ///< SLURM_CPUS_PER_TASK; 0 where unset
  int usable = 0;            ///< the least of them, at least 1
};
CoreBudget QueryCores();

/// Pins the calling thread to `cores`, any of which it may run on; to none where empty. Pinning is a hint: a failure is
/// ignored. Threads that it starts afterwards, OpenMP teams too, inherit the pin.
void PinThread(std::span<const int> cores);

}  // namespace lockstep

// What a thread must do before it computes, and how many cores there are to compute on.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// Prepares the calling thread for arithmetic whose bits count: denormals flush to zero (MXCSR's FTZ and DAZ), and
/// OpenMP teams that it starts have `team_size` threads (dynamic adjustment off). Every thread that computes calls this
/// first.
void PrepareComputeThread(int team_size, const std::string& name);

/// The cores that this process may use: its affinity mask, bounded by the cgroup's cpu quota (v1 and v2, rounded up)
/// and by SLURM_CPUS_PER_TASK where set.
struct CoreBudget {
  std::vector<int> allowed;  ///< core numbers of the affinity mask
  int machine = 0;           ///< cores that are online
  int quota = 0;             ///< cores by cgroup quota; 0 where there is none
  int slurm = 0;             ///< SLURM_CPUS_PER_TASK; 0 where unset
  int usable = 0;            ///< the least of them, at least 1
};
CoreBudget QueryCores();

/// Pins the calling thread to `core`. Pinning is a hint: a failure is ignored. OpenMP teams that the thread starts
/// afterwards inherit the pin: not for threads that lead a team of more than one.
void PinThread(int core);

/// The memory limit of this process's cgroup or the machine's memory, whichever is less, in bytes.
size_t MemoryLimit();

/// Instruction sets the backends distinguish, ascending.
enum class Isa { kGeneric, kAvx2, kAvx512, kAmx };
Isa DetectIsa();
const char* Name(Isa isa);

/// "AMD EPYC 9R14", and the sizes of caches of each level in bytes: parts of the numerics fingerprint.
std::string CpuModel();
std::vector<size_t> CacheSizes();
/// This machine's host name, without its domain.
std::string HostName();

}  // namespace lockstep

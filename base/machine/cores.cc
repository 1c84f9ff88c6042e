#include "base/machine/cores.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/machine/cgroup.h"

namespace lockstep {
namespace {

struct CpuSetFree {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

std::vector<int> AllowedCores() {
  // The mask's size is the kernel's choice: too small a buffer is refused, so it grows.
  for (int cores = 1024; cores <= 1 << 20; cores *= 2) {
    const std::unique_ptr<cpu_set_t, CpuSetFree> set(CPU_ALLOC(cores));
    const size_t bytes = CPU_ALLOC_SIZE(cores);
    CPU_ZERO_S(bytes, set.get());
    if (sched_getaffinity(0, bytes, set.get()) != 0) continue;
    std::vector<int> allowed;
    for (int core = 0; core < cores; ++core) {
      if (CPU_ISSET_S(core, bytes, set.get())) allowed.push_back(core);
    }
    return allowed;
  }
  return {};
}

int PositiveFromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  const long value = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return value > 0 && value < 1 << 20 ? static_cast<int>(value) : 0;
}

}  // namespace

CoreBudget QueryCores() {
  CoreBudget budget;
  budget.allowed = AllowedCores();
  budget.machine = static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const CgroupLimits limits = ReadCgroupLimits();
  budget.quota = limits.cores;
  budget.quota_group = limits.cores_group;
  budget.slurm = PositiveFromEnvironment("SLURM_CPUS_PER_TASK");
  budget.usable = budget.allowed.empty() ? budget.machine : static_cast<int>(budget.allowed.size());
  if (budget.quota > 0) budget.usable = std::min(budget.usable, budget.quota);
  if (budget.slurm > 0) budget.usable = std::min(budget.usable, budget.slurm);
  return budget;
}

void PinThread(std::span<const int> cores) {
  if (cores.empty()) return;
  const int most = *std::max_element(cores.begin(), cores.end());
  const std::unique_ptr<cpu_set_t, CpuSetFree> set(CPU_ALLOC(most + 1));
  const size_t bytes = CPU_ALLOC_SIZE(most + 1);
  CPU_ZERO_S(bytes, set.get());
  for (int core : cores) CPU_SET_S(core, bytes, set.get());
  pthread_setaffinity_np(pthread_self(), bytes, set.get());
}

}  // namespace lockstep

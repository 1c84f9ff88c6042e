#include "base/threads.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#ifdef __SSE__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/cgroup.h"
#include "base/error.h"

namespace lockstep {
namespace {

void FlushDenormalsToZero() {
#ifdef __SSE__
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#endif
}

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

void PrepareComputeThread(int team_size, const std::string& name) {
  CHECK(team_size >= 1, "a team of {} threads", team_size);
  if (!name.empty()) pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the kernel keeps 15 characters
  FlushDenormalsToZero();
  omp_set_dynamic(0);
  omp_set_num_threads(team_size);
  if (team_size == 1) return;
    // The team's threads are kept for later regions; those that an earlier region made have their own control word.
#pragma omp parallel num_threads(team_size)
  FlushDenormalsToZero();
}

CoreBudget QueryCores() {
  CoreBudget budget;
  budget.allowed = AllowedCores();
  budget.machine = static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  budget.quota = ReadCgroupLimits().cores;
  budget.slurm = PositiveFromEnvironment("SLURM_CPUS_PER_TASK");
  budget.usable = budget.allowed.empty() ? budget.machine : static_cast<int>(budget.allowed.size());
  if (budget.quota > 0) budget.usable = std::min(budget.usable, budget.quota);
  if (budget.slurm > 0) budget.usable = std::min(budget.usable, budget.slurm);
  return budget;
}

void PinThread(int core) {
  if (core < 0) return;
  const std::unique_ptr<cpu_set_t, CpuSetFree> set(CPU_ALLOC(core + 1));
  const size_t bytes = CPU_ALLOC_SIZE(core + 1);
  CPU_ZERO_S(bytes, set.get());
  CPU_SET_S(core, bytes, set.get());
  pthread_setaffinity_np(pthread_self(), bytes, set.get());
}

size_t MemoryLimit() {
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t group = ReadCgroupLimits().memory;
  return group == 0 ? physical : std::min(physical, group);
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  const std::string full = name;
  return full.substr(0, full.find('.'));
}

}  // namespace lockstep

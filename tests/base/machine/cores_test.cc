#include "base/machine/cores.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/threads.h"

namespace lockstep {
namespace {

TEST(Cores, APinnedThreadMayUseItsCoreAlone) {
  const std::vector<int> allowed = QueryCores().allowed;
  ASSERT_FALSE(allowed.empty());
  std::thread([core = allowed.back()] {
    PinThread(std::vector<int>{core});
    EXPECT_EQ(QueryCores().allowed, std::vector<int>{core});
    EXPECT_EQ(QueryCores().usable, 1);
    PinThread(std::vector<int>{1 << 19});  // there is no such core: a hint that is not followed
    EXPECT_EQ(QueryCores().allowed, std::vector<int>{core});
  }).join();
}

TEST(Cores, AnOpenMpTeamInheritsThePin) {
  const std::vector<int> pin = {QueryCores().allowed.back()};
  std::thread([&pin] {
    PinThread(pin);
    PrepareComputeThread(3, "test");
    int members = 0, pinned = 0;
#pragma omp parallel reduction(+ : members, pinned)
    {
      members += 1;
      pinned += QueryCores().allowed == pin;
    }
    EXPECT_EQ(members, 3);
    EXPECT_EQ(pinned, 3);
  }).join();
}

TEST(Cores, SlurmBoundsTheUsableCores) {
  const char* before = std::getenv("SLURM_CPUS_PER_TASK");
  const std::string saved = before == nullptr ? "" : before;
  unsetenv("SLURM_CPUS_PER_TASK");
  const CoreBudget free = QueryCores();
  EXPECT_EQ(free.slurm, 0);
  EXPECT_GE(free.usable, 1);
  EXPECT_LE(free.usable, static_cast<int>(free.allowed.size()));
  setenv("SLURM_CPUS_PER_TASK", "1", 1);
  EXPECT_EQ(QueryCores().slurm, 1);
  EXPECT_EQ(QueryCores().usable, 1);
  setenv("SLURM_CPUS_PER_TASK", "100000", 1);
  EXPECT_EQ(QueryCores().usable, free.usable);
  setenv("SLURM_CPUS_PER_TASK", "many", 1);
  EXPECT_EQ(QueryCores().slurm, 0);
  if (before == nullptr) unsetenv("SLURM_CPUS_PER_TASK");
  if (before != nullptr) setenv("SLURM_CPUS_PER_TASK", saved.c_str(), 1);
}

}  // namespace
}  // namespace lockstep

#include "base/threads.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cfloat>
#include <cstdlib>
#include <thread>

namespace lockstep {
namespace {

/// Half the smallest normal number: a denormal where they are kept.
bool FlushesDenormals() {
  volatile float smallest = FLT_MIN;
  const volatile float half = smallest * 0.5f;
  const volatile float back = half * 2.0f;
  return half == 0.0f && back == 0.0f;
}

/// Reads a denormal that was made by bits: DAZ makes it zero even where the result is not one.
bool TreatsDenormalsAsZero() {
  volatile float denormal = std::bit_cast<float>(uint32_t{1} << 20);
  const volatile float product = denormal * 0x1p100f;
  return product == 0.0f;
}

TEST(Threads, AComputeThreadFlushesDenormals) {
#ifndef __SSE__
  GTEST_SKIP() << "no MXCSR on this architecture";
#endif
  std::thread([] {
    EXPECT_FALSE(FlushesDenormals()) << "new threads keep them: the check can tell";
    PrepareComputeThread(1, "test");
    EXPECT_TRUE(FlushesDenormals());
    EXPECT_TRUE(TreatsDenormalsAsZero());
  }).join();
}

TEST(Threads, TeamsHaveTheAskedSizeAndFlushDenormalsInEveryMember) {
#ifndef __SSE__
  GTEST_SKIP() << "no MXCSR on this architecture";
#endif
  std::thread([] {
  // A team from before: its members stay alive, without the setting.
#pragma omp parallel num_threads(4)
    EXPECT_FALSE(FlushesDenormals());
    for (int team_size : {1, 3, 4}) {
      PrepareComputeThread(team_size, "test");
      EXPECT_EQ(omp_get_dynamic(), 0);
      int members = 0, flushing = 0;
#pragma omp parallel reduction(+ : members, flushing)
      {
        members += 1;
        flushing += FlushesDenormals() && TreatsDenormalsAsZero();
      }
      EXPECT_EQ(members, team_size);
      EXPECT_EQ(flushing, team_size);
    }
  }).join();
}

TEST(Threads, LongNamesAreCut) {
  std::thread([] {
    PrepareComputeThread(1, "a name that the kernel refuses");
    char name[32] = {};
    pthread_getname_np(pthread_self(), name, sizeof(name));
    EXPECT_STREQ(name, "a name that the");
  }).join();
}

TEST(Threads, APinnedThreadMayUseItsCoreAlone) {
  const std::vector<int> allowed = QueryCores().allowed;
  ASSERT_FALSE(allowed.empty());
  std::thread([core = allowed.back()] {
    PinThread(core);
    EXPECT_EQ(QueryCores().allowed, std::vector<int>{core});
    EXPECT_EQ(QueryCores().usable, 1);
    PinThread(1 << 19);  // there is no such core: a hint that is not followed
    EXPECT_EQ(QueryCores().allowed, std::vector<int>{core});
  }).join();
}

TEST(Threads, SlurmBoundsTheUsableCores) {
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

TEST(Machine, IsDescribed) {
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  EXPECT_GT(MemoryLimit(), size_t{1} << 20);
  EXPECT_LE(MemoryLimit(), physical);
  EXPECT_FALSE(CpuModel().empty());
  EXPECT_FALSE(HostName().empty());
  EXPECT_EQ(HostName().find('.'), std::string::npos);
  const std::vector<size_t> caches = CacheSizes();
  EXPECT_TRUE(std::is_sorted(caches.begin(), caches.end()));
  for (size_t size : caches) EXPECT_GE(size, 4096u);
#if defined(__x86_64__) && !defined(__clang__)  // clang 14 does not know these levels
  __builtin_cpu_init();
  EXPECT_EQ(DetectIsa() >= Isa::kAvx512, __builtin_cpu_supports("x86-64-v4") != 0);
  if (__builtin_cpu_supports("x86-64-v3")) {
    EXPECT_GE(DetectIsa(), Isa::kAvx2);
  }
#endif
}

}  // namespace
}  // namespace lockstep

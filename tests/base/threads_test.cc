#include "base/threads.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <pthread.h>

#include <bit>
#include <cfloat>
#include <cstdint>
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

}  // namespace
}  // namespace lockstep

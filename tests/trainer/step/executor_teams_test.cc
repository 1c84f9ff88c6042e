// Executors with teams of OpenMP threads. Apart from executor_pool_test: GCC's OpenMP library is not instrumented, so
// ThreadSanitizer sees races in any team.
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/machine/cores.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::step {
namespace {

TEST(ExecutorPool, PinsEachTeamToItsCores) {
  const std::vector<int> allowed = QueryCores().allowed;
  const std::vector<std::vector<int>> pins = {{allowed.front()}, {allowed.back()}, allowed};
  ExecutorPool pool({3, 2, pins});
  pool.Run([&](int e) {
    std::atomic<int> right{0};
#pragma omp parallel
    right += QueryCores().allowed == pins[static_cast<size_t>(e)];
    EXPECT_EQ(right, 2) << "executor " << e;
  });
}

}  // namespace
}  // namespace lockstep::step

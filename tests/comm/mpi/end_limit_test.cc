#include "comm/mpi/end_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace lockstep::comm {
namespace {

using std::chrono::milliseconds;

TEST(EndLimit, CallsWhenItIsOver) {
  std::atomic<bool> called = false;
  const EndLimit limit(milliseconds(1), [&] { called = true; });
  while (!called) std::this_thread::yield();
}

TEST(EndLimit, SaysNothingOfWhatEndsInTime) {
  std::atomic<bool> called = false;
  {
    const EndLimit limit(std::chrono::hours(1), [&] { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace lockstep::comm

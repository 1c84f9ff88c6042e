#include "trainer/run/progress/power_log.h"

#include <gtest/gtest.h>

namespace lockstep::run {
namespace {

using Clock = PowerLog::Clock;
constexpr auto At = [](int seconds) { return Clock::time_point(std::chrono::seconds(1000 + seconds)); };

TEST(PowerLog, TakesDifferencesBetweenRows) {
  PowerLog log;
  EXPECT_EQ(log.Take(500.0, 100, At(0)), std::nullopt);
  const std::optional<PowerUse> use = log.Take(900.0, 300, At(2));
  ASSERT_TRUE(use);
  EXPECT_DOUBLE_EQ(use->watts, 200);
  EXPECT_DOUBLE_EQ(use->joules_per_sample, 2);
}

TEST(PowerLog, InventsNothing) {
  PowerLog log;
  log.Take(500.0, 100, At(0));
  EXPECT_EQ(log.Take(std::nullopt, 200, At(1)), std::nullopt);  // a meter was silent
  EXPECT_EQ(log.Take(700.0, 300, At(2)), std::nullopt);         // nothing to compare with
  EXPECT_TRUE(log.Take(800.0, 400, At(3)));
  EXPECT_EQ(log.Take(10.0, 500, At(4)), std::nullopt);  // the counter began again
  EXPECT_EQ(log.Take(20.0, 500, At(5)), std::nullopt);  // no samples
}

}  // namespace
}  // namespace lockstep::run

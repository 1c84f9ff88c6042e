#include "trainer/run/progress/recent_median.h"

#include <gtest/gtest.h>

namespace lockstep::run {
namespace {

TEST(RecentMedian, IsTheMiddleOfAllWhereTheyAreFew) {
  RecentMedian median(100);
  EXPECT_TRUE(median.empty());
  for (const double value : {9.0, 1.0, 5.0}) median.Add(value);
  EXPECT_EQ(median.Get(), 5.0);
  median.Add(7.0);
  EXPECT_EQ(median.Get(), 7.0) << "the upper of two";
}

TEST(RecentMedian, ForgetsTheOldestAndGrowsNoFurther) {
  RecentMedian median(5);
  for (int i = 0; i < 1000; ++i) {
    median.Add(i);
    EXPECT_LE(median.size(), 5u);
  }
  EXPECT_EQ(median.Get(), 997.0);
}

}  // namespace
}  // namespace lockstep::run

#include "trainer/plan/lane_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/lane_tree.h"

namespace lockstep::plan {
namespace {

TEST(PlanLanes, TilesTheLanesInOrderInRunsOfEqualLength) {
  for (int lanes = 1; lanes <= 24; ++lanes)
    for (int ranks = 1; ranks <= lanes; ++ranks)
      for (int wanted = 1; wanted <= 4; ++wanted) {
        SCOPED_TRACE(testing::Message() << lanes << " lanes, " << ranks << " ranks of " << wanted << " executors");
        std::vector<int> executors;
        for (const LaneRange& run : DealLanes(lanes, ranks)) executors.push_back(std::min(wanted, run.size()));
        const comm::LanePlan plan = PlanLanes(lanes, executors);
        ASSERT_EQ(plan.size(), static_cast<size_t>(ranks));
        int next = 0, least = lanes, most = 0;
        for (const std::vector<LaneRange>& rank : plan) {
          const int first = next;
          for (const LaneRange& run : rank) {
            ASSERT_EQ(run.begin, next);
            ASSERT_LT(run.begin, run.end);
            next = run.end;
          }
          least = std::min(least, next - first);
          most = std::max(most, next - first);
        }
        EXPECT_EQ(next, lanes);
        EXPECT_LE(most - least, 1);
      }
}

TEST(BalanceLanes, TheSlowestRankIsDoneSoonest) {
  EXPECT_EQ(BalanceLanes(12, {1, 1}, {2, 1}), (std::vector<int>{8, 4}));
  EXPECT_EQ(BalanceLanes(8, {1, 1, 1}, {1, 1, 1}), (std::vector<int>{3, 3, 2}));
  EXPECT_EQ(BalanceLanes(4, {1, 1, 1, 1}, {9, 1, 1, 1}), (std::vector<int>{1, 1, 1, 1}));
  // Two executors have lanes in pairs.
  EXPECT_EQ(BalanceLanes(9, {2, 1}, {1, 1}), (std::vector<int>{6, 3}));
  for (int lanes = 3; lanes <= 40; ++lanes) {
    const std::vector<double> speeds{1, 0.5, 0.7};
    const std::vector<int> dealt = BalanceLanes(lanes, {1, 1, 1}, speeds);
    double slowest = 0, even = 0;
    int sum = 0;
    for (size_t r = 0; r < 3; ++r) {
      sum += dealt[r];
      slowest = std::max(slowest, dealt[r] / speeds[r]);
      even = std::max(even, DealLanes(lanes, 3)[r].size() / speeds[r]);
    }
    EXPECT_EQ(sum, lanes);
    EXPECT_LE(slowest, even);
    EXPECT_LE(slowest, lanes / 2.2 + 2) << lanes;
  }
}

TEST(LanesOf, FollowsWhatSharesSay) {
  CorePlan cores(2);
  cores[0].executors = 2;
  EXPECT_EQ(LanesOf(6, cores), PlanLanes(6, {2, 1}));
  cores[0].lanes = 5;
  cores[1].lanes = 1;
  const comm::LanePlan plan = LanesOf(6, cores);
  EXPECT_EQ(plan[0].back().end, 5);
  EXPECT_EQ(plan[0].size(), 2u);
  EXPECT_EQ(plan[1].front().begin, 5);
  EXPECT_EQ(plan[1].front().end, 6);
}

TEST(PlanLanes, RefusesExecutorsWithoutLanes) {
  EXPECT_THROW(PlanLanes(4, {3, 2}), Error);
  EXPECT_THROW(PlanLanes(4, {0}), Error);
}

}  // namespace
}  // namespace lockstep::plan

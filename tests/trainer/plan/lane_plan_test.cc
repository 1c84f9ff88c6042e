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

TEST(PlanLanes, RefusesExecutorsWithoutLanes) {
  EXPECT_THROW(PlanLanes(4, {3, 2}), Error);
  EXPECT_THROW(PlanLanes(4, {0}), Error);
}

}  // namespace
}  // namespace lockstep::plan

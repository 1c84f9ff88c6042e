#include "trainer/plan/lane_plan.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"

namespace lockstep::plan {
namespace {

std::vector<int> Cores(int first, int count) {
  std::vector<int> cores(static_cast<size_t>(count));
  std::iota(cores.begin(), cores.end(), first);
  return cores;
}

TEST(PlanExecutors, ARankByItselfUsesAllItsCores) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 6), 6, 0}}, 8, 1), (std::vector<int>{6}));
}

TEST(PlanExecutors, RanksShareTheCoresThatAllOfThemMayUse) {
  const RankCores rank = {0, Cores(0, 8), 8, 0};
  EXPECT_EQ(PlanExecutors({rank, rank}, 64, 1), (std::vector<int>{4, 4}));
  EXPECT_EQ(PlanExecutors({rank, rank, rank}, 64, 1), (std::vector<int>{2, 2, 2}));
}

TEST(PlanExecutors, AFairShareIsNotLostToRounding) {
  // Seven times a seventh is a little less than one.
  for (int ranks = 1; ranks <= 50; ++ranks) {
    const std::vector<RankCores> all(static_cast<size_t>(ranks), {0, Cores(0, 3 * ranks), 3 * ranks, 0});
    EXPECT_EQ(PlanExecutors(all, 3 * ranks, 1), std::vector<int>(static_cast<size_t>(ranks), 3)) << ranks;
  }
}

TEST(PlanExecutors, RanksThatAreBoundToCoresUseTheirOwn) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 3), 3, 0}, {0, Cores(3, 1), 1, 0}}, 8, 1), (std::vector<int>{3, 1}));
}

TEST(PlanExecutors, CoresOfTheSameNumberOnOtherNodesAreOthers) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 4), 4, 0}, {1, Cores(0, 4), 4, 0}}, 8, 1), (std::vector<int>{4, 4}));
}

TEST(PlanExecutors, AreAtLeastOneWhereRanksAreMoreThanCores) {
  const RankCores rank = {0, Cores(0, 2), 2, 0};
  EXPECT_EQ(PlanExecutors({rank, rank, rank}, 8, 1), (std::vector<int>{1, 1, 1}));
}

TEST(PlanExecutors, AreNoMoreThanTheRanksLanes) {
  const RankCores rank = {0, Cores(0, 64), 64, 0};
  EXPECT_EQ(PlanExecutors({rank, rank, rank}, 8, 1), (std::vector<int>{3, 3, 2}));
}

TEST(PlanExecutors, QuotaAndSchedulerBoundThem) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 16), 5, 0}}, 32, 1), (std::vector<int>{5}));
}

TEST(PlanExecutors, ATeamTakesItsCores) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 9), 9, 0}}, 32, 4), (std::vector<int>{2}));
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 2), 2, 0}}, 32, 4), (std::vector<int>{1}));
}

TEST(PlanExecutors, TheCommandLineDecidesWithinTheLanes) {
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 2), 2, 5}, {0, Cores(0, 2), 2, 100}}, 8, 2), (std::vector<int>{4, 4}));
  EXPECT_EQ(PlanExecutors({{0, Cores(0, 16), 16, 1}}, 8, 1), (std::vector<int>{1}));
}

TEST(PlanLanes, TilesTheLanesInOrderInRunsOfEqualLength) {
  for (int lanes = 1; lanes <= 24; ++lanes)
    for (int ranks = 1; ranks <= lanes; ++ranks)
      for (int wanted = 1; wanted <= 4; ++wanted) {
        SCOPED_TRACE(testing::Message() << lanes << " lanes, " << ranks << " ranks of " << wanted << " executors");
        const std::vector<RankCores> all(static_cast<size_t>(ranks), {0, Cores(0, 1), 1, wanted});
        const comm::LanePlan plan = PlanLanes(lanes, PlanExecutors(all, lanes, 1));
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

#include "trainer/plan/core_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>

#include "base/lane_tree.h"

namespace lockstep::plan {
namespace {

using Pins = std::vector<std::vector<int>>;
using testing::IsEmpty;

/// Each core a physical one, on one NUMA node.
std::vector<Core> Cores(int first, int count) {
  std::vector<Core> cores;
  for (int number = first; number < first + count; ++number) cores.push_back({number, number, 0});
  return cores;
}

/// 2 * `physical` hardware threads numbered as Linux does: first each physical core's first one, then the second ones;
/// half of the physical cores on each of two NUMA nodes.
std::vector<Core> TwoThreadsEach(int physical) {
  std::vector<Core> cores;
  for (int number = 0; number < 2 * physical; ++number)
    cores.push_back({number, number % physical, number % physical < physical / 2 ? 0 : 1});
  return cores;
}

RankCores Rank(std::vector<Core> cores, int machine, int requested = 0) {
  RankCores rank;
  rank.cores = std::move(cores);
  rank.machine = machine;
  rank.requested = requested;
  return rank;
}

std::vector<int> Executors(const std::vector<RankCores>& ranks, int lanes, int lane_threads = 1) {
  return ExecutorsOf(PlanCores(ranks, lanes, lane_threads));
}

TEST(CorePlan, ARankByItselfUsesAllItsCores) { EXPECT_EQ(Executors({Rank(Cores(0, 6), 6)}, 8), std::vector<int>{6}); }

TEST(CorePlan, RanksThatShareAMaskGetDisjointPartsOfIt) {
  const RankCores rank = Rank(Cores(0, 8), 16);
  const CorePlan two = PlanCores({rank, rank}, 64, 1);
  EXPECT_EQ(ExecutorsOf(two), (std::vector<int>{4, 4}));
  EXPECT_EQ(two[0].pins, (Pins{{0}, {1}, {2}, {3}}));
  EXPECT_EQ(two[1].pins, (Pins{{4}, {5}, {6}, {7}}));
  EXPECT_FALSE(two[0].crowded || two[1].crowded);
  const CorePlan three = PlanCores({rank, rank, rank}, 64, 1);
  EXPECT_EQ(ExecutorsOf(three), (std::vector<int>{2, 2, 2})) << "a step is as slow as its slowest rank";
  EXPECT_EQ(three[2].pins, (Pins{{6}, {7}}));
}

TEST(CorePlan, OnAMaskOfTheWholeMachineNothingIsPinned) {
  const RankCores rank = Rank(Cores(0, 8), 8);
  for (const CoreShare& share : PlanCores({rank, rank}, 64, 1)) EXPECT_THAT(share.pins, IsEmpty());
  const CorePlan always = PlanCores({rank, rank}, 64, 1, Pinning::kAlways);
  EXPECT_EQ(always[1].pins, (Pins{{4}, {5}, {6}, {7}}));
  for (const CoreShare& share : PlanCores({Rank(Cores(0, 2), 8)}, 64, 1, Pinning::kNever))
    EXPECT_THAT(share.pins, IsEmpty());
}

TEST(CorePlan, RanksThatAreBoundToCoresKeepTheirOwn) {
  const CorePlan plan = PlanCores({Rank(Cores(0, 3), 4), Rank(Cores(3, 1), 4)}, 8, 1);
  EXPECT_EQ(ExecutorsOf(plan), (std::vector<int>{3, 1}));
  EXPECT_EQ(plan[0].pins, (Pins{{0}, {1}, {2}}));
  EXPECT_EQ(plan[1].pins, Pins{{3}});
}

TEST(CorePlan, MasksThatOverlapInPartAreDividedWithoutLoss) {
  // The second may use the first four alone: the first rank leaves them to it.
  const CorePlan plan = PlanCores({Rank(Cores(0, 8), 16), Rank(Cores(0, 4), 16)}, 64, 1);
  EXPECT_EQ(ExecutorsOf(plan), (std::vector<int>{4, 4}));
  EXPECT_EQ(plan[0].pins, (Pins{{4}, {5}, {6}, {7}}));
  EXPECT_EQ(plan[1].pins, (Pins{{0}, {1}, {2}, {3}}));
  // A chain: what the last has beside it isn't lost.
  EXPECT_EQ(Executors({Rank(Cores(0, 2), 16), Rank(Cores(1, 2), 16), Rank(Cores(2, 8), 16)}, 64),
            (std::vector<int>{2, 1, 7}));
}

TEST(CorePlan, CoresOfTheSameNumberOnOtherHostsAreOthers) {
  RankCores first = Rank(Cores(0, 4), 8), second = first;
  second.host = 1;
  const CorePlan plan = PlanCores({first, second}, 8, 1);
  EXPECT_EQ(ExecutorsOf(plan), (std::vector<int>{4, 4}));
  EXPECT_EQ(plan[0].pins, plan[1].pins);
}

TEST(CorePlan, MoreRanksThanCoresAreCrowdedAndNotPinned) {
  const RankCores rank = Rank(Cores(0, 2), 4), own = Rank(Cores(2, 2), 4);
  const CorePlan plan = PlanCores({rank, rank, rank, own}, 8, 1);
  EXPECT_EQ(ExecutorsOf(plan), (std::vector<int>{1, 1, 1, 2}));
  for (int r = 0; r < 3; ++r) {
    EXPECT_TRUE(plan[static_cast<size_t>(r)].crowded) << r;
    EXPECT_THAT(plan[static_cast<size_t>(r)].pins, IsEmpty()) << r;
  }
  EXPECT_FALSE(plan[3].crowded) << "it has cores of its own";
  EXPECT_EQ(plan[3].pins, (Pins{{2}, {3}}));
}

TEST(CorePlan, ExecutorsAreNoMoreThanTheRanksLanes) {
  const RankCores rank = Rank(Cores(0, 64), 64);
  EXPECT_EQ(Executors({rank, rank, rank}, 8), (std::vector<int>{3, 3, 2}));
}

TEST(CorePlan, AQuotaIsSharedByTheRanksOfItsGroup) {
  RankCores rank = Rank(Cores(0, 16), 32);
  rank.quota = 5;
  rank.quota_group = 7;
  EXPECT_EQ(Executors({rank}, 64), std::vector<int>{5});
  EXPECT_EQ(Executors({rank, rank}, 64), (std::vector<int>{2, 2}));
  RankCores other = rank;
  other.quota_group = 8;
  EXPECT_EQ(Executors({rank, other}, 64), (std::vector<int>{5, 5}));
  rank.quota = 1;
  const CorePlan plan = PlanCores({rank, rank}, 64, 1);
  EXPECT_EQ(ExecutorsOf(plan), (std::vector<int>{1, 1}));
  EXPECT_TRUE(plan[0].crowded && plan[1].crowded);
}

TEST(CorePlan, TheSchedulerBoundsEachRank) {
  RankCores rank = Rank(Cores(0, 16), 16);
  rank.bound = 5;
  EXPECT_EQ(Executors({rank, rank}, 64), (std::vector<int>{5, 5}));
  EXPECT_EQ(Executors({rank, rank}, 64, 2), (std::vector<int>{2, 2}));
}

TEST(CorePlan, ATeamTakesItsCores) {
  const CorePlan plan = PlanCores({Rank(Cores(0, 9), 16)}, 32, 4);
  EXPECT_EQ(plan[0].pins, (Pins{{0, 1, 2, 3}, {4, 5, 6, 7}}));
  const CorePlan crowded = PlanCores({Rank(Cores(0, 2), 16)}, 32, 4);
  EXPECT_EQ(ExecutorsOf(crowded), std::vector<int>{1});
  EXPECT_TRUE(crowded[0].crowded);
  EXPECT_THAT(crowded[0].pins, IsEmpty());
}

TEST(CorePlan, TheCommandLineDecidesWithinTheLanes) {
  EXPECT_EQ(Executors({Rank(Cores(0, 2), 2, 5), Rank(Cores(0, 2), 2, 100)}, 8, 2), (std::vector<int>{4, 4}));
  EXPECT_EQ(Executors({Rank(Cores(0, 16), 16, 1)}, 8), std::vector<int>{1});
  EXPECT_TRUE(PlanCores({Rank(Cores(0, 2), 4, 5)}, 8, 1)[0].crowded);
}

TEST(CorePlan, PartsKeepPhysicalCoresAndNumaNodesTogether) {
  // Threads 0 and 8, 1 and 9, ... share a physical core; 0-3 and 8-11 lie on the first NUMA node.
  const RankCores rank = Rank(TwoThreadsEach(8), 32);
  const CorePlan all = PlanCores({rank, rank}, 64, 1);
  EXPECT_EQ(all[0].pins, (Pins{{0}, {8}, {1}, {9}, {2}, {10}, {3}, {11}}));
  EXPECT_EQ(all[1].pins, (Pins{{4}, {12}, {5}, {13}, {6}, {14}, {7}, {15}}));
  const CorePlan teams = PlanCores({rank, rank}, 64, 2);
  EXPECT_EQ(teams[0].pins, (Pins{{0, 8}, {1, 9}, {2, 10}, {3, 11}})) << "a team shares a cache";
}

TEST(CorePlan, WholePhysicalCoresComeBeforeSecondThreads) {
  const RankCores rank = Rank(TwoThreadsEach(8), 32);
  const CorePlan few = PlanCores({rank, rank}, 6, 1);
  EXPECT_EQ(few[0].pins, (Pins{{0}, {1}, {2}}));
  EXPECT_EQ(few[1].pins, (Pins{{4}, {5}, {6}})) << "on its own NUMA node";
  EXPECT_EQ(PlanCores({rank}, 10, 1)[0].pins, (Pins{{0}, {8}, {1}, {9}, {2}, {3}, {4}, {5}, {6}, {7}}));
}

TEST(CorePlan, WhateverTheMasksNoCoreIsPinnedTwiceAndAllStayInsideTheirs) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    const int machine = 1 + static_cast<int>(random() % 12), ranks = 1 + static_cast<int>(random() % 5);
    const int lane_threads = 1 + static_cast<int>(random() % 2);
    std::vector<RankCores> all;
    for (int r = 0; r < ranks; ++r) {
      std::vector<Core> mask;
      for (const Core& core : Cores(0, machine))
        if (random() % 2 == 0 || (mask.empty() && core.number + 1 == machine)) mask.push_back(core);
      all.push_back(Rank(mask, machine, static_cast<int>(random() % 3)));
    }
    const CorePlan plan = PlanCores(all, 24, lane_threads, Pinning::kAlways);
    std::set<int> used;
    for (size_t r = 0; r < all.size(); ++r) {
      SCOPED_TRACE(testing::Message() << "round " << round << ", rank " << r);
      EXPECT_GE(plan[r].executors, 1);
      EXPECT_EQ(plan[r].pins.size(), plan[r].crowded ? 0 : static_cast<size_t>(plan[r].executors));
      for (const std::vector<int>& pin : plan[r].pins) {
        EXPECT_EQ(pin.size(), static_cast<size_t>(lane_threads));
        for (int core : pin) {
          EXPECT_TRUE(used.insert(core).second) << "core " << core << " is pinned twice";
          EXPECT_THAT(all[r].cores, testing::Contains(Core{core, core, 0}));
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::plan

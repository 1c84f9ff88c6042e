#include "trainer/plan/core_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::plan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RankCores Rank(int first, int count, int machine) {
  RankCores rank;
  rank.machine = machine;
  for (int number = first; number < first + count; ++number) rank.cores.push_back({number, number, 0});
  return rank;
}

CoreReport Describe(const std::vector<RankCores>& ranks, int lanes, bool under_mpirun = false) {
  CoreReportOptions options;
  for (const RankCores& rank : ranks) options.host_names.push_back("h" + std::to_string(rank.host));
  options.lanes = lanes;
  options.global_batch = 4 * lanes;
  options.under_mpirun = under_mpirun;
  return DescribeCorePlan(ranks, PlanCores(ranks, lanes, 1), options);
}

TEST(CoreReport, SaysWhereEachRankIsPinned) {
  const CoreReport report = Describe({Rank(0, 4, 8), Rank(0, 4, 8)}, 8);
  EXPECT_THAT(
      report.notes,
      ElementsAre("h0: 2 ranks, 4 of 8 cores allowed, 2 executors a rank; pinned: rank 0 to 0-1, rank 1 to 2-3"));
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST(CoreReport, HasALineAHost) {
  RankCores second = Rank(0, 2, 2);
  second.host = 1;
  EXPECT_THAT(Describe({Rank(0, 3, 3), second}, 8).notes,
              ElementsAre("h0: 1 rank, 3 of 3 cores allowed, 3 executors a rank",
                          "h1: 1 rank, 2 of 2 cores allowed, 2 executors a rank"));
}

TEST(CoreReport, CountsWhatQuotaAndSchedulerLeave) {
  RankCores rank = Rank(0, 8, 8);
  rank.quota = 3;
  EXPECT_THAT(Describe({rank, rank}, 8).notes, ElementsAre(HasSubstr("3 of 8 cores allowed, 1 executor a rank")));
  rank.quota = 0;
  rank.bound = 2;
  EXPECT_THAT(Describe({rank, rank}, 8).notes, ElementsAre(HasSubstr("4 of 8 cores allowed, 2 executors a rank")));
}

TEST(CoreReport, WarnsOfSharedCores) {
  EXPECT_THAT(Describe({Rank(0, 1, 2), Rank(0, 1, 2)}, 8).warnings, ElementsAre(HasSubstr("ranks share cores")));
}

TEST(CoreReport, WarnsOfASingleRankThatMpirunBinds) {
  EXPECT_THAT(Describe({Rank(0, 1, 2)}, 8, true).warnings, ElementsAre(HasSubstr("--bind-to none to use all 2 cores")));
  EXPECT_THAT(Describe({Rank(0, 1, 2)}, 8, false).warnings, IsEmpty());
}

TEST(CoreReport, WarnsOfCoresThatHaveNoLane) {
  EXPECT_THAT(Describe({Rank(0, 4, 4)}, 3).warnings,
              ElementsAre("3 lanes leave 1 core idle; train.lanes: 4 would use more (it changes the bits)"));
}

}  // namespace
}  // namespace lockstep::plan

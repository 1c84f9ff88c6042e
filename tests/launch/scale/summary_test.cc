// Studies with planted faults: each must be named.
#include "launch/scale/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/scale/compare_studies.h"
#include "launch/scale/study_page.h"
#include "launch/scale/study_text.h"

namespace lockstep::launch {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

StudyFacts Facts() {
  Recipe recipe;
  recipe.mutable_train()->set_global_batch(32);
  recipe.mutable_train()->set_lanes(4);
  StudyFacts facts{.recipe = "r.textproto", .name = "toy"};
  facts.request = {.ranks = {1, 2, 4}, .base_lanes = {2}, .repeats = 5, .steps = 100};
  facts.points = PointsOf(facts.request, recipe);
  facts.samples_per_epoch = 3600;
  return facts;
}

/// A run of 90 steps at `rate`, of ranks that take equally long.
RunResult Run(const std::string& point, int repeat, double rate, int ranks) {
  RunResult result{.point = point,
                   .repeat = repeat,
                   .weights = "704ab93beca40751",
                   .seconds_per_step = 32 / rate,
                   .samples_per_s = rate,
                   .steps = 90};
  for (int rank = 0; rank < ranks; ++rank)
    result.ranks.push_back(
        {"h", {{"forward", 0.9}, {"backward", 1.8}, {"exchange", 0.09}}, 2.7, static_cast<uint64_t>(90 / ranks), 1000});
  return result;
}

std::vector<RunResult> Results() {
  std::vector<RunResult> results;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const double drift = 1 + 0.01 * (repeat - 2);
    results.push_back(Run("r1", repeat, 100 * drift, 1));
    results.push_back(Run("r2", repeat, 190 * drift, 2));
    results.push_back(Run("r4", repeat, 340 * drift, 4));
    results.push_back(Run("twin", repeat, 100.5 * drift, 1));
    results.push_back(Run("base-lanes2", repeat, 125 * drift, 1));
    results.back().weights = "other";
  }
  return results;
}

TEST(StudySummary, SpeedupsAreOverTheFirstPoint) {
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, Results());
  ASSERT_NE(summary.base, nullptr);
  EXPECT_EQ(summary.base->point->name, "r1");
  EXPECT_EQ(summary.fastest_base->point->name, "base-lanes2");
  const PointSummary& four = *summary.Find("r4");
  EXPECT_NEAR(four.speedup.estimate, 3.4, 0.05);
  EXPECT_NEAR(four.efficiency, 0.85, 0.02);
  EXPECT_TRUE(four.speedup.interval.Holds(3.4));
  EXPECT_NEAR(four.node_hours_per_epoch, 1 / 340.0, 1e-9);
  ASSERT_TRUE(summary.noise);
  EXPECT_TRUE(summary.noise->interval.Holds(1));
  EXPECT_EQ(WeightsLine(summary), "all 20 runs ended with weights 704ab93beca40751");
  const std::vector<std::string> findings = Findings(facts, summary);
  EXPECT_THAT(findings, Contains(HasSubstr("one rank is faster with train.lanes=2")));
  EXPECT_THAT(findings, Not(Contains(HasSubstr("is slow"))));
  EXPECT_THAT(findings, Not(Contains(HasSubstr("FAILED"))));
  ASSERT_TRUE(summary.cost);
  EXPECT_NEAR(summary.cost->model.At(4), 32 / 340.0, 0.01);
}

TEST(StudySummary, ASlowRankIsNamed) {
  std::vector<RunResult> results = Results();
  for (RunResult& result : results) {
    if (result.point != "r4") continue;
    for (records::RankTimes& rank : result.ranks) rank.slowest = 0;
    result.ranks[2].slowest = 88;
    result.ranks[2].lanes = 5.4;
    for (size_t rank : {0, 1, 3}) result.ranks[rank].phases["exchange"] = 2.79;
  }
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, results);
  EXPECT_THAT(Findings(facts, summary),
              Contains(HasSubstr("at 4 ranks rank 2 is slow: its lanes take 100.0 % longer")));
  // What the others wait for it is not the exchange's own.
  EXPECT_NEAR(summary.Find("r4")->phases.waiting, 2.7 / 90 * 3 / 4, 1e-9);
  EXPECT_NEAR(summary.Find("r4")->phases.exposed, 0.09 / 90, 1e-9);
  // Points of as many ranks are told apart by what is varied.
  StudyFacts varied = facts;
  for (StudyPoint& point : varied.points)
    if (point.name == "r4") point.variant = "train.balance=EVEN";
  EXPECT_THAT(Findings(varied, Summarize(varied, results)),
              Contains(HasSubstr("at 4 ranks, train.balance=EVEN, rank 2 is slow")));
}

TEST(StudyPage, ABarOfEachPointHasItsPhases) {
  const StudyFacts facts = Facts();
  const std::string page = StudyPage(facts, Summarize(facts, Results()), "");
  // 0.9, 1.8 and 0.09 seconds of 90 steps.
  for (const char* part : {"forward: 10 ms", "backward: 20 ms", "exchange, exposed: 1 ms"})
    EXPECT_THAT(page, HasSubstr(part));
  for (const char* bar : {">1 rank</text>", ">2 ranks</text>", ">4 ranks</text>", ">1 once more</text>"})
    EXPECT_THAT(page, HasSubstr(bar));
}

TEST(StudySummary, FailedPointsAreRowsWithTheirReason) {
  std::vector<RunResult> results = Results();
  std::erase_if(results, [](const RunResult& result) { return result.point == "r2"; });
  for (int repeat = 0; repeat < 5; ++repeat)
    results.push_back({.point = "r2", .repeat = repeat, .exit_code = 6, .reason = "rank 1 was killed"});
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, results);
  EXPECT_THAT(AlignedTable(PointTable(facts, summary)), HasSubstr("FAILED (5 of 5): rank 1 was killed"));
  EXPECT_THAT(Findings(facts, summary), Contains(HasSubstr("5 of 5 runs of point r2 FAILED: rank 1 was killed")));
  EXPECT_THAT(MarkdownReport(facts, summary), HasSubstr("| 2 | FAILED"));
}

TEST(StudySummary, OtherWeightsAndDriftAreSaid) {
  std::vector<RunResult> results = Results();
  for (RunResult& result : results) {
    if (result.point == "r4" && result.repeat == 3) result.weights = "deadbeef";
    if (result.point == "twin") result.samples_per_s *= 1.2;
  }
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, results);
  EXPECT_THAT(WeightsLine(summary),
              HasSubstr("DID NOT end with the same weights: 19 with 704ab93beca40751, 1 with deadbeef"));
  EXPECT_THAT(NoiseLine(summary), HasSubstr("MORE THAN NOISE EXPLAINS"));
}

TEST(StudySummary, OneRunAPointTellsNoNoise) {
  std::vector<RunResult> results = Results();
  std::erase_if(results, [](const RunResult& result) { return result.repeat > 0; });
  for (RunResult& result : results)
    if (result.point == "twin") result.samples_per_s *= 1.2;
  const StudyFacts facts = Facts();
  const std::string line = NoiseLine(Summarize(facts, results));
  EXPECT_THAT(line, HasSubstr("too few runs to tell what is noise"));
  EXPECT_THAT(line, Not(HasSubstr("MORE THAN NOISE")));
}

TEST(StudySummary, ObstaclesStandOnTheFirstPage) {
  StudyFacts facts = Facts();
  facts.obstacles = {{"4 threads on 2 cores: ranks would share cores", "measure fewer ranks"}};
  EXPECT_THAT(Findings(facts, Summarize(facts, Results())),
              Contains("MEASURED ALL THE SAME: 4 threads on 2 cores: ranks would share cores (measure fewer ranks)"));
}

TEST(StudySummary, AStudyThatHasJustBegunIsNoError) {
  const StudyFacts facts = Facts();
  const StudySummary summary = Summarize(facts, {});
  EXPECT_EQ(WeightsLine(summary), "no run has ended");
  EXPECT_THAT(AlignedTable(PointTable(facts, summary)), HasSubstr("not run yet"));
}

TEST(CompareStudies, OnePointThatIsSlowerIsFound) {
  const StudyFacts facts = Facts();
  const StudySummary before = Summarize(facts, Results());
  std::vector<RunResult> slower = Results();
  for (RunResult& result : slower)
    if (result.point == "r4") result.samples_per_s *= 0.8;
  const StudySummary after = Summarize(facts, slower);
  for (const PointDifference& difference : CompareStudies(before, after)) {
    EXPECT_EQ(difference.beyond_noise, difference.name == "r4") << difference.name << " " << difference.p;
    if (difference.name == "r4") {
      EXPECT_NEAR(difference.ratio.estimate, 0.8, 0.01);
    }
  }
  EXPECT_NEAR(LeastP(5, 5), 2.0 / 252, 1e-12);
  EXPECT_NEAR(LeastP(3, 4), 1.0 / 35, 1e-12);
}

TEST(StudyText, ExtraPGetsAllRepeats) {
  const StudyFacts facts = Facts();
  const std::string text = ExtraPText(facts, Summarize(facts, Results()));
  EXPECT_THAT(text, HasSubstr("PARAMETER p\n\nPOINTS 1 2 4\n\nREGION step\nMETRIC time\nDATA 0.32"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 9);
}

}  // namespace
}  // namespace lockstep::launch

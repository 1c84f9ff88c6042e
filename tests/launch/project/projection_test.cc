// Projections of made-up studies whose ranks compute what is known.
#include "launch/project/projection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "launch/project/projection_text.h"

namespace lockstep::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kLanes = 64, kSteps = 100;
constexpr double kLane = 1e-3, kFixed = 2e-3;

/// A strong study at 1 and 2 ranks: a lane takes a millisecond, three quarters of it backward, beside two of every
/// rank.
struct Study {
  explicit Study(StudyMode mode) {
    Recipe recipe;
    recipe.mutable_train()->set_global_batch(128);
    recipe.mutable_train()->set_lanes(kLanes);
    facts.name = "toy";
    facts.request = {.mode = mode, .ranks = {1, 2}, .repeats = 3, .steps = kSteps};
    facts.points = PointsOf(facts.request, recipe);
    for (const StudyPoint& point : facts.points)
      if (point.role == StudyPoint::Role::kPoint)
        for (int repeat = 0; repeat < 3; ++repeat) results.push_back(Run(point, repeat));
    summary = Summarize(facts, results);
    job.lanes = kLanes;
    job.global_batch = 128;
    job.buckets = comm::CutBuckets(256 * kChunkElements, 64 * kChunkElements);
    job.ready = {0.25, 0.5, 0.75, 1};
    request.mode = mode;
    request.network.straggle = 0;
    request.network.memory_gb_s = 20;
    request.steps = 3;
  }

  RunResult Run(const StudyPoint& point, int repeat) const {
    const int grown = facts.request.mode == StudyMode::kWeak ? point.ranks : 1;
    const double lanes = kLane * kLanes * grown / point.ranks;
    const double step = lanes + kFixed;
    RunResult result{.point = point.name,
                     .repeat = repeat,
                     .seconds_per_step = step,
                     .samples_per_s = 128.0 * grown / step,
                     .steps = kSteps};
    for (int rank = 0; rank < point.ranks; ++rank)
      result.ranks.push_back(
          {"h", {{"forward", 0.25 * lanes * kSteps}, {"backward", 0.75 * lanes * kSteps}}, lanes * kSteps, 0, 0});
    return result;
  }
  MeasuredRank Measured() const { return MeasureRank(facts, results, summary, job); }
  ProjectedPoint Project(int ranks) const { return ProjectPoint(ranks, request, job, Measured(), summary); }

  StudyFacts facts;
  std::vector<RunResult> results;
  StudySummary summary;
  ProjectedJob job;
  ProjectionRequest request;
};

TEST(Projection, TakesOverWhatARankComputes) {
  const MeasuredRank measured = Study(StudyMode::kStrong).Measured();
  EXPECT_EQ(measured.ranks, 2);
  EXPECT_EQ(measured.lanes_per_rank, 32);
  ASSERT_EQ(measured.lanes.size(), 3u);
  EXPECT_NEAR(measured.lanes[0], 32e-3, 1e-9);
  EXPECT_NEAR(measured.backward, 24e-3, 1e-9);
  EXPECT_NEAR(measured.fixed, kFixed, 1e-9);
  EXPECT_EQ(measured.base_ranks, 1);
  EXPECT_EQ(Study(StudyMode::kWeak).Measured().lanes_per_rank, kLanes);
}

TEST(Projection, OfWideLinksIsThatOfTheLanes) {
  Study study(StudyMode::kStrong);
  study.request.network.gbit = 1e5;
  study.request.network.latency_us = study.request.network.message_us = 0;
  study.request.network.memory_gb_s = 1e5;
  const ProjectedPoint point = study.Project(16);
  EXPECT_EQ(point.hosts, 2);
  EXPECT_NEAR(point.step_seconds, 4 * kLane + kFixed, 1e-4);
  EXPECT_NEAR(point.speedup, 66.0 / 6, 0.1);
  EXPECT_NEAR(point.efficiency, point.speedup / 16, 1e-9);
  EXPECT_EQ(point.global_batch, 128u);
  EXPECT_EQ(point.bound, "lanes");
  EXPECT_TRUE(point.values.good());
  ASSERT_TRUE(point.model);
}

TEST(Projection, OfNarrowLinksIsThatOfTheBytes) {
  Study study(StudyMode::kStrong);
  study.request.network.gbit = 0.1;
  const ProjectedPoint point = study.Project(64);
  EXPECT_EQ(point.hosts, 8);
  EXPECT_GE(point.exposed, point.least_host_bytes / (0.1e9 / 8) - 64 * kLane);
  EXPECT_GE(point.host_bytes, point.least_host_bytes);
  EXPECT_EQ(point.bound, "links");
  EXPECT_NEAR(point.step_seconds, point.fixed + point.lanes + point.waiting + point.exposed + point.records, 1e-9);
}

TEST(Projection, StrongRanksCannotHaveLessThanALane) {
  const Study study(StudyMode::kStrong);
  try {
    study.Project(65);
    FAIL() << "it was projected";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("65 ranks are more than the recipe's 64 lanes"));
    EXPECT_THAT(error.what(), HasSubstr("--mode weak"));
  }
}

TEST(Projection, StudiesOfGpusAreRefused) {
  Study study(StudyMode::kStrong);
  for (RunResult& result : study.results)
    for (records::RankTimes& rank : result.ranks) rank.phases = {{"exchange", 1e-3}};
  study.summary = Summarize(study.facts, study.results);
  try {
    study.Measured();
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("computed on GPUs"));
  }
}

TEST(Projection, WeakOnesGrowTheBatch) {
  const ProjectedPoint point = Study(StudyMode::kWeak).Project(256);
  EXPECT_EQ(point.global_batch, 128u * 256);
  EXPECT_NEAR(point.lanes, kLanes * kLane, 1e-9);
  EXPECT_TRUE(point.values.good());
}

TEST(Projection, StragglersMakeOthersWait) {
  Study study(StudyMode::kStrong);
  const double even = study.Project(64).waiting;
  study.request.network.straggle = 0.2;
  const ProjectedPoint point = study.Project(64);
  EXPECT_NEAR(even, 0, 1e-12);
  // The largest of 64 standard normal values is 2.4 in the mean: exp(0.48) is 1.6.
  EXPECT_GT(point.waiting, 0.3 * kLane);
  EXPECT_LT(point.waiting, 1.2 * kLane);
  EXPECT_LT(point.step_interval.low, point.step_interval.high);
  study.request.network.straggle = -1;
  MeasuredRank measured = study.Measured();
  measured.factors = {1, 1, 3};
  EXPECT_NEAR(ProjectPoint(64, study.request, study.job, measured, study.summary).median.lanes_most, 3 * kLane, 1e-9);
}

TEST(Projection, TheSameSeedGivesTheSame) {
  Study study(StudyMode::kStrong);
  study.request.network.straggle = 0.2;
  EXPECT_EQ(study.Project(32).step_seconds, study.Project(32).step_seconds);
  const double before = study.Project(32).step_seconds;
  study.request.seed = 1;
  EXPECT_NE(study.Project(32).step_seconds, before);
}

TEST(Projection, SaysWhatWasMeasuredAndWhatAssumed) {
  const Study study(StudyMode::kStrong);
  Projection projection{.facts = study.facts, .request = study.request, .measured = study.Measured()};
  projection.points = {study.Project(8), study.Project(64)};
  projection.checked =
      CheckPoints(study.facts, study.results, study.request, study.job, projection.measured, study.summary);
  const std::vector<std::string> notes = ProjectionNotes(projection);
  EXPECT_THAT(notes[0], HasSubstr("This is a simulation"));
  EXPECT_THAT(notes[1], HasSubstr("measured: the lanes of a rank as at 2 ranks of the study (32 ms for 32 lanes)"));
  EXPECT_THAT(notes[2], HasSubstr("assumed: 8 ranks a host, links of 100 Gbit/s each way"));
  EXPECT_THAT(notes[4], HasSubstr("have the bits of the lane tree's"));
  EXPECT_THAT(notes[3], HasSubstr("1 rank on 1 host 66.2 ms simulated, 66 ms measured (+0 %)"));
  EXPECT_THAT(notes[3], HasSubstr("2 ranks on 1 host"));
  EXPECT_EQ(ProjectionTable(projection).rows.size(), 2u);
  EXPECT_THAT(ProjectionJson(projection), HasSubstr("\"simulation\": true"));
  EXPECT_THAT(notes[1], Not(HasSubstr("links")));
  projection.points[0].values.wrong_sums = 1;
  EXPECT_THAT(ProjectionNotes(projection)[4], HasSubstr("SUMS ARE WRONG"));
}

TEST(Projection, LinksThatTheStudyMeasuredAreTheDefault) {
  Study study(StudyMode::kStrong);
  EXPECT_EQ(MeasuredNetwork(study.facts).gbit, Network().gbit);
  // Within a host there is no network.
  study.facts.hosts.links = {{"h1", "h2", 9, 20}, {"h2", "h1", 11, 30}, {"h1", "h1", 400, 1}};
  const Network network = ParseNetwork("ranks_per_host=2", MeasuredNetwork(study.facts));
  EXPECT_EQ(network.gbit, 10);
  EXPECT_EQ(network.latency_us, 25 - 2 * network.message_us);
  EXPECT_EQ(network.ranks_per_host, 2);
  EXPECT_EQ(ParseNetwork("gbit=1", network).gbit, 1);
  Projection projection{.facts = study.facts, .request = study.request, .measured = study.Measured()};
  projection.request.network.gbit = network.gbit;
  projection.gbit_measured = true;
  std::vector<std::string> notes = ProjectionNotes(projection);
  EXPECT_THAT(notes[1], HasSubstr("links of 10 Gbit/s each way (medians of the study's 2 ways between hosts)"));
  EXPECT_THAT(notes[2], Not(HasSubstr("links of")));
  EXPECT_THAT(notes[2], HasSubstr("5 us from host to host"));
}

}  // namespace
}  // namespace lockstep::launch

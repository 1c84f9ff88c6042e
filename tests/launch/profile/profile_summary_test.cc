#include "launch/profile/profile_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/json_fields.h"
#include "launch/profile/profile_text.h"
#include "tests/launch/profile/small_profile.h"

namespace lockstep::launch {
namespace {

ProfileSummary SmallSummary() { return Summarize(Align({SmallRank(0, 0), SmallRank(1, 5'000'000)})); }

/// Microseconds, mean over ranks.
std::map<std::string, double> MicrosecondsOf(const std::vector<PhaseUse>& phases) {
  std::map<std::string, double> microseconds;
  for (const PhaseUse& phase : phases) microseconds[phase.name] = std::round(1e9 * phase.mean) / 1e3;
  return microseconds;
}

TEST(ProfileSummary, APhaseHasItsTimeWithoutThatOfThePhasesWithinIt) {
  const ProfileSummary summary = SmallSummary();
  EXPECT_EQ(summary.ranks, 2);
  EXPECT_EQ(summary.executors, 2);
  EXPECT_EQ(summary.computing_threads, 1) << "those of rank 0's host";
  EXPECT_DOUBLE_EQ(summary.step_seconds, 100e-6);
  EXPECT_EQ(summary.clock_error_ns, 700);
  using Phases = std::map<std::string, double>;
  EXPECT_EQ(MicrosecondsOf(summary.executor_phases), (Phases{{"waiting for samples", 2},
                                                             {"copying samples", 1},
                                                             {"forward", 20},
                                                             {"backward", 22},
                                                             {"fold", 5},
                                                             {"outside of lanes", 50}}));
  EXPECT_EQ(MicrosecondsOf(summary.communication_phases), (Phases{{"packing weights", 10},
                                                                  {"waiting for gradients", 55},
                                                                  {"sum and update", 15},
                                                                  {"waiting for weights", 15},
                                                                  {"rest of steps", 5}}));
}

TEST(ProfileSummary, TheRankThatTakesMostIsKnown) {
  records::RankProfile slow = SmallRank(1, 0);
  slow.threads[1].events[0].end_ns += 500;  // waiting for samples
  slow.threads[1].events[1].begin_ns += 500;
  const ProfileSummary summary = Summarize(Align({SmallRank(0, 0), slow}));
  const PhaseUse& samples = summary.executor_phases.front();
  EXPECT_EQ(samples.name, "waiting for samples");
  EXPECT_NEAR(samples.least, 2e-6, 1e-12);
  EXPECT_NEAR(samples.most, 2.5e-6, 1e-12);
  EXPECT_EQ(samples.most_rank, 1);
}

TEST(ProfileSummary, OpsAddUpOverLanesAndRanks) {
  const ProfileSummary summary = SmallSummary();
  EXPECT_DOUBLE_EQ(summary.flops, 2 * (36'000 + 80'000));
  ASSERT_EQ(summary.ops.size(), 2u);
  const OpUse& grad = summary.ops[0];
  EXPECT_EQ(grad.name, "fc1/weight_grad") << "what takes most comes first";
  EXPECT_FALSE(grad.forward);
  EXPECT_EQ(grad.runs, 2u);
  EXPECT_NEAR(grad.seconds, 40e-6, 1e-12);
  EXPECT_DOUBLE_EQ(grad.flops, 160'000);
  EXPECT_DOUBLE_EQ(grad.bytes, 8000);
  EXPECT_TRUE(summary.ops[1].forward);
  ASSERT_EQ(summary.kinds.size(), 2u);
  EXPECT_EQ(summary.kinds[0].kind, "linear_weight_grad");
  EXPECT_EQ(summary.kinds[0].name, "");
}

TEST(ProfileText, SharesAreThoseOfAStepAndOfTheLimits) {
  const std::string text = ProfileText(SmallSummary(), {.matrix_gflops = 8, .copy_gb_s = 2}, 1);
  // 20 us of a step of 100 us; 80,000 FLOP and 4,000 bytes in it.
  EXPECT_NE(text.find("fc1/weight_grad  backward  2            0.020      20.0%    4.00     50.0%    0.20  10.0%"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("and 1 ops that take less"), std::string::npos) << text;
  EXPECT_NE(text.find("steps 10 to 10 on 2 ranks with 2 executors in all: 0.100 ms a step"), std::string::npos) << text;
  EXPECT_NE(text.find("clocks of the ranks are aligned to +- 0.7 us"), std::string::npos) << text;
  EXPECT_EQ(text.find("found no room"), std::string::npos);
}

TEST(ProfileText, WithoutLimitsNoSharesOfThem) {
  ProfileSummary summary = SmallSummary();
  summary.dropped = 3;
  const std::string text = ProfileText(summary, {}, 15);
  EXPECT_EQ(text.find("peak, measured"), std::string::npos);
  EXPECT_NE(text.find("3 events found no room"), std::string::npos);
}

TEST(ProfileJson, HoldsWhatTablesSay) {
  const Json object = Json::parse(ProfileJson(SmallSummary(), {.matrix_gflops = 8, .copy_gb_s = 2}));
  EXPECT_EQ(object.at("steps"), 1);
  EXPECT_EQ(object.at("ops").at(0).at("name"), "fc1/weight_grad");
  EXPECT_NEAR(object.at("ops").at(0).at("gflops").get<double>(), 4, 1e-9);
  EXPECT_NEAR(object.at("ops").at(0).at("seconds_per_step").get<double>(), 20e-6, 1e-12);
  EXPECT_EQ(object.at("matrix_gflops_of_executor"), 8);
  EXPECT_EQ(object.at("clock_error_ns"), 700);
  double executor = 0;
  for (const Json& phase : object.at("executor_phases")) executor += phase.at("seconds_per_step").get<double>();
  EXPECT_NEAR(executor, object.at("seconds_per_step").get<double>(), 1e-9) << "phases of an executor add up to a step";
}

}  // namespace
}  // namespace lockstep::launch

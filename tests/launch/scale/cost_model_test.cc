#include "launch/scale/cost_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace lockstep::launch {
namespace {

std::vector<TimedRun> RunsOf(const CostModel& model, const std::vector<double>& ranks, double noise) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> factor(1, noise);
  std::vector<TimedRun> runs;
  for (const double p : ranks)
    for (int repeat = 0; repeat < 5; ++repeat) runs.push_back({p, model.At(p) * (noise > 0 ? factor(random) : 1)});
  return runs;
}

TEST(CostModel, IsFoundAgainWithoutNoise) {
  CostModel truth;
  truth.seconds[static_cast<int>(CostTerm::kCompute)] = 0.1;
  truth.seconds[static_cast<int>(CostTerm::kLatency)] = 0.002;
  truth.seconds[static_cast<int>(CostTerm::kVolume)] = 0.004;
  const CostModel found = FitCost(RunsOf(truth, {1, 2, 3, 4, 8}, 0));
  for (int term = 0; term < kCostTerms; ++term) EXPECT_NEAR(found.seconds[term], truth.seconds[term], 1e-9) << term;
  EXPECT_NEAR(found.At(64), truth.At(64), 1e-9);
}

TEST(CostModel, FactorsAreNeverBelowZero) {
  // Faster than ideal, as where caches grow with the ranks.
  const CostModel found = FitCost(std::vector<TimedRun>{{1, 1.0}, {2, 0.4}, {4, 0.15}});
  for (const double factor : found.seconds) EXPECT_GE(factor, 0);
}

TEST(CostModel, LeavingOneOutTellsHowFarItIsFromThePoint) {
  CostModel truth;
  truth.seconds[static_cast<int>(CostTerm::kCompute)] = 0.1;
  truth.seconds[static_cast<int>(CostTerm::kVolume)] = 0.005;
  const FittedCost fitted = FitCostWithIntervals(RunsOf(truth, {1, 2, 4, 8}, 0.01), 1);
  ASSERT_EQ(fitted.left_out_errors.size(), 4u);
  for (const double error : fitted.left_out_errors) EXPECT_LT(std::abs(error), 0.25);
  const Interval at_16 = fitted.At(16);
  EXPECT_LT(at_16.low, truth.At(16));
  EXPECT_GT(at_16.high, truth.At(16));
  EXPECT_LT(at_16.high / at_16.low, 2);
  const FittedCost few = FitCostWithIntervals(RunsOf(truth, {1, 2}, 0.01), 1);
  EXPECT_TRUE(std::isnan(few.left_out_errors[0]));
}

TEST(CostModel, TheKneeIsWhereDoublingHelpsLess) {
  CostModel model;
  model.seconds[static_cast<int>(CostTerm::kCompute)] = 1;
  EXPECT_EQ(Knee(model, 1024), 0);
  model.seconds[static_cast<int>(CostTerm::kVolume)] = 0.05;  // t(8) / t(16) = 0.2125 / 0.15625 = 1.36, then 1.22
  EXPECT_EQ(Knee(model, 1024), 16);
}

TEST(CostModel, TheNextPointIsWhereModelsDisagreeMost) {
  CostModel truth;
  truth.seconds[static_cast<int>(CostTerm::kCompute)] = 0.1;
  truth.seconds[static_cast<int>(CostTerm::kLatency)] = 0.003;
  const FittedCost fitted = FitCostWithIntervals(RunsOf(truth, {1, 2, 4}, 0.03), 1);
  EXPECT_EQ(NextPoint(fitted, std::vector<double>{8, 16}), 16);
  EXPECT_EQ(NextPoint(fitted, std::vector<double>{}), 0);
}

}  // namespace
}  // namespace lockstep::launch

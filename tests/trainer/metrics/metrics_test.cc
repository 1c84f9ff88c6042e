#include "trainer/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace lockstep::metrics {
namespace {

TEST(EvaluationSum, DividesSumsOverBlocksByTheSamples) {
  EvaluationSum sum(Task::kClassification, {"correct", "found"});
  sum.Add(std::vector{1.5}, std::vector<int64_t>{3, 1});
  sum.Add(std::vector{0.5}, std::vector<int64_t>{4, 0});
  const std::vector<Metric> expected = {{"loss", 0.25}, {"accuracy", 0.875}, {"found", 0.125}};
  EXPECT_EQ(sum.Result(std::vector<uint64_t>{8}), expected);
}

TEST(EvaluationSum, DividesEachLossByItsOwnDenominator) {
  EvaluationSum sum(Task::kDetection, {});
  sum.Add(std::vector{3.0, 10.0}, {});
  sum.Add(std::vector{1.0, 6.0}, {});
  EXPECT_EQ(sum.Result(std::vector<uint64_t>{8, 4, 0, 0}), (std::vector<Metric>{{"loss", 0.5 + 4}}));
  EXPECT_THROW(sum.Add(std::vector{1.0}, {}), Error);
}

TEST(EvaluationSum, AddsBlocksInTheOrderGiven) {
  EvaluationSum forward(Task::kRegression, {}), backward(Task::kRegression, {});
  for (const double loss : {1e16, 1.0, -1e16}) forward.Add(std::span(&loss, 1), {});
  for (const double loss : {-1e16, 1e16, 1.0}) backward.Add(std::span(&loss, 1), {});
  EXPECT_EQ(forward.Result(std::vector<uint64_t>{1})[0].value, 0);
  EXPECT_EQ(backward.Result(std::vector<uint64_t>{1})[0].value, 1);
}

TEST(EvaluationSum, OfALanguageModelSaysPerplexity) {
  EvaluationSum sum(Task::kLanguageModel, {"correct"});
  sum.Add(std::vector{10 * std::log(6.5)}, std::vector<int64_t>{5});
  const std::vector<Metric> result = sum.Result(std::vector<uint64_t>{10});
  ASSERT_EQ(result.size(), 3u);
  EXPECT_EQ(result[2].name, "perplexity");
  EXPECT_NEAR(result[2].value, 6.5, 1e-12);
}

TEST(EvaluationSum, OfNothingIsNoNumber) {
  EXPECT_TRUE(std::isnan(EvaluationSum(Task::kRegression, {}).Result(std::vector<uint64_t>{0})[0].value));
}

TEST(EvaluationSum, RejectsABlockWithOtherCounters) {
  EXPECT_THROW(EvaluationSum(Task::kClassification, {"correct"}).Add(std::vector{1.0}, {}), Error);
}

TEST(Format, PrintsFourDecimals) {
  EXPECT_EQ(Format(std::vector<Metric>{{"loss", 0.01234}, {"accuracy", 0.9941}}), "loss=0.0123 accuracy=0.9941");
  EXPECT_EQ(Format({}), "");
}

}  // namespace
}  // namespace lockstep::metrics

#include "trainer/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace lockstep::metrics {
namespace {

TEST(EvaluationSum, DividesSumsOverBlocksByTheSamples) {
  EvaluationSum sum({"correct", "found"});
  sum.Add(1.5, std::vector<int64_t>{3, 1});
  sum.Add(0.5, std::vector<int64_t>{4, 0});
  const std::vector<Metric> expected = {{"loss", 0.25}, {"accuracy", 0.875}, {"found", 0.125}};
  EXPECT_EQ(sum.Result(8), expected);
}

TEST(EvaluationSum, AddsBlocksInTheOrderGiven) {
  EvaluationSum forward({}), backward({});
  for (const double loss : {1e16, 1.0, -1e16}) forward.Add(loss, {});
  for (const double loss : {-1e16, 1e16, 1.0}) backward.Add(loss, {});
  EXPECT_EQ(forward.Result(1)[0].value, 0);
  EXPECT_EQ(backward.Result(1)[0].value, 1);
}

TEST(EvaluationSum, OfNothingIsNoNumber) { EXPECT_TRUE(std::isnan(EvaluationSum({}).Result(0)[0].value)); }

TEST(EvaluationSum, RejectsABlockWithOtherCounters) { EXPECT_THROW(EvaluationSum({"correct"}).Add(1, {}), Error); }

TEST(Format, PrintsFourDecimals) {
  EXPECT_EQ(Format(std::vector<Metric>{{"loss", 0.01234}, {"accuracy", 0.9941}}), "loss=0.0123 accuracy=0.9941");
  EXPECT_EQ(Format({}), "");
}

}  // namespace
}  // namespace lockstep::metrics

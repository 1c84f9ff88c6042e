#include "launch/report/overfitting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::launch {
namespace {

using testing::HasSubstr;

MetricRows Rows(const std::vector<double>& losses, const char* split = "validation") {
  MetricRows rows;
  rows.steps_per_epoch = 20;
  for (size_t i = 0; i < losses.size(); ++i) {
    const double step = 100.0 * static_cast<double>(i + 1);
    rows.training["loss"].push_back({step - 50, 1 / step});
    rows.training["loss"].push_back({step, 1 / step});
    rows.evaluated[split]["loss"].push_back({step, losses[i]});
  }
  return rows;
}

TEST(Overfitting, IsSaidWithTheStepSinceWhenAndTheGap) {
  const Overfitting judged = JudgeOverfitting(Rows({2, 1, 0.5, 0.8, 1.25}), false);
  EXPECT_EQ(judged.sentence,
            "It overfits: validation loss was best, 0.5 at step 300 (epoch 15), and has got worse since, to 1.25 at "
            "step 500 (epoch 25); training loss is 0.002 there, a gap of 1.248.");
  ASSERT_TRUE(judged.worse);
  EXPECT_EQ(judged.worse->begin, 300);
  EXPECT_EQ(judged.worse->end, 500);
}

TEST(Overfitting, IsNotSaidOfALossThatFallsOrStays) {
  EXPECT_THAT(JudgeOverfitting(Rows({2, 1, 0.5}), false).sentence,
              HasSubstr("It shows no overfitting: validation loss is best at its last evaluation, 0.5 at step 300"));
  const Overfitting noise = JudgeOverfitting(Rows({2, 1, 0.5, 0.51}), true);
  EXPECT_THAT(noise.sentence,
              HasSubstr("It shows no overfitting so far: validation loss is 0.51 at step 400 (epoch 20), "
                        "hardly worse than its best, 0.5 at step 300"));
  EXPECT_FALSE(noise.worse);
}

TEST(Overfitting, OfALossThatOnlyRoseIsSaidSo) {
  EXPECT_THAT(JudgeOverfitting(Rows({1, 1.5, 2}), false).sentence,
              HasSubstr("validation loss has only got worse since its first evaluation, 1 at step 100"));
}

TEST(Overfitting, NamesTheSplitThatSteers) {
  MetricRows rows = Rows({2, 1}, "test");
  EXPECT_EQ(SteeringSplit(rows), "test");
  rows.evaluated["validation"] = Rows({3, 2}).evaluated["validation"];
  EXPECT_EQ(SteeringSplit(rows), "validation");
}

TEST(Overfitting, OfTooLittleIsNotJudged) {
  EXPECT_THAT(JudgeOverfitting({}, true).sentence, HasSubstr("can't be told"));
  EXPECT_THAT(JudgeOverfitting(Rows({1}), true).sentence, HasSubstr("There is one evaluation so far, so no trend"));
  MetricRows nothing = Rows({std::nan(""), HUGE_VAL});
  EXPECT_THAT(JudgeOverfitting(nothing, false).sentence, HasSubstr("can't be told"));
}

TEST(Overfitting, ATrainingLossThatIsHigherIsExplained) {
  MetricRows rows = Rows({2, 1});
  for (Point& point : rows.training["loss"]) point.y = 3;
  EXPECT_THAT(JudgeOverfitting(rows, false).sentence, HasSubstr("training loss is 3 there, 2 higher, as dropout"));
}

}  // namespace
}  // namespace lockstep::launch

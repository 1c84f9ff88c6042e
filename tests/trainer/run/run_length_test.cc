// When a run ends: by steps, by epochs, or early.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "data/batches/make_batches.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
#include "trainer/plan/splits.h"
#include "trainer/run/early_stopping.h"

namespace lockstep::run {
namespace {

std::unique_ptr<data::Batches> MakeBatches(uint64_t samples, uint64_t batch) {
  data::Source source;
  source.mutable_synthetic()->set_samples(samples);
  source.mutable_synthetic()->set_features(1);
  std::shared_ptr<const data::Dataset> dataset = data::OpenDataset(source, "data.train", 1);
  return data::MakeBatches(dataset, data::MakeTransform(dataset->fields(), {}, 1), {.global_batch = batch});
}

uint64_t StepsOf(double epochs, uint64_t samples, uint64_t batch) {
  plan::TrainConfig config;
  config.set_epochs(epochs);
  return plan::LengthOf(config, *MakeBatches(samples, batch)).total_steps;
}

TEST(LengthOf, IsWhatWasAskedFor) {
  plan::TrainConfig config;
  config.set_steps(17);
  EXPECT_EQ(plan::LengthOf(config, *MakeBatches(1000, 64)).total_steps, 17u);
}

TEST(LengthOf, EpochsRunOnWithoutAGapAndTheLastPartOfABatchIsLeftOut) {
  EXPECT_EQ(StepsOf(1, 1000, 64), 15u);  // 15.6
  EXPECT_EQ(StepsOf(2, 1000, 64), 31u);  // 31.25: not twice 15
  EXPECT_EQ(StepsOf(30, 1437, 32), 1347u);
  EXPECT_EQ(StepsOf(5, 60000, 128), 2343u);
  EXPECT_EQ(StepsOf(0.5, 1000, 100), 5u);
}

TEST(LengthOf, AWholeNumberOfStepsIsNotLostToRounding) {
  // 2.3 * 100 is a little less than 230 in double precision, and so are many others.
  for (int tenths = 1; tenths <= 3000; ++tenths)
    ASSERT_EQ(StepsOf(tenths / 10.0, 100, 10), static_cast<uint64_t>(tenths)) << tenths / 10.0 << " epochs";
}

TEST(LengthOf, ARunWithoutStepsIsAUsageError) {
  try {
    StepsOf(0.01, 1000, 100);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.where(), "train");
  }
}

class EarlyStoppingTest : public testing::Test {
 protected:
  EarlyStoppingTest() { config_.set_patience(2); }

  bool Observe(uint64_t step, double loss, double accuracy = -1) {
    checkpoint::Evaluation evaluation;
    evaluation.set_step(step);
    evaluation.set_loss(loss);
    if (accuracy >= 0) (*evaluation.mutable_metrics())["accuracy"] = accuracy;
    return EarlyStoppingRule(config_, state_).Observe(evaluation);
  }
  bool ShouldStop() { return EarlyStoppingRule(config_, state_).ShouldStop(); }

  plan::EarlyStopping config_;
  checkpoint::LoopState state_;
};

TEST_F(EarlyStoppingTest, StopsWhenPatienceIsSpent) {
  EXPECT_TRUE(Observe(10, 2.0));
  EXPECT_TRUE(Observe(20, 1.0));
  EXPECT_FALSE(Observe(30, 1.5));
  EXPECT_FALSE(ShouldStop());
  EXPECT_FALSE(Observe(40, 1.0));  // as good is not better
  EXPECT_TRUE(ShouldStop());
  EXPECT_EQ(state_.best_step(), 20u);
}

TEST_F(EarlyStoppingTest, AGainGivesPatienceBack) {
  Observe(10, 2.0);
  Observe(20, 3.0);
  EXPECT_TRUE(Observe(30, 1.9));
  Observe(40, 3.0);
  EXPECT_FALSE(ShouldStop());
  EXPECT_EQ(state_.best_step(), 30u);
}

TEST_F(EarlyStoppingTest, BetterIsBetterByMoreThanMinDelta) {
  config_.set_min_delta(0.25);
  Observe(10, 2.0);
  EXPECT_FALSE(Observe(20, 1.75));
  EXPECT_TRUE(Observe(30, 1.5));
}

TEST_F(EarlyStoppingTest, AccuracyIsBetterWhenItIsLarger) {
  config_.set_metric(plan::Metric::ACCURACY);
  EXPECT_TRUE(Observe(10, 1.0, 0.5));
  EXPECT_FALSE(Observe(20, 0.1, 0.5));
  EXPECT_TRUE(Observe(30, 9.0, 0.6));
}

TEST_F(EarlyStoppingTest, ALossThatIsNoNumberIsWorseThanAny) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Observe(10, nan);
  EXPECT_TRUE(Observe(20, 5.0));
  EXPECT_FALSE(Observe(30, nan));
  EXPECT_TRUE(Observe(40, 4.0));
  EXPECT_EQ(state_.best_step(), 40u);
}

TEST_F(EarlyStoppingTest, ItsWholeStateIsInTheCheckpoint) {
  Observe(10, 2.0);
  Observe(20, 3.0);
  checkpoint::LoopState resumed;
  ASSERT_TRUE(resumed.ParseFromString(state_.SerializeAsString()));
  state_ = resumed;
  Observe(30, 2.5);
  EXPECT_TRUE(ShouldStop());
  EXPECT_EQ(state_.best_step(), 10u);
}

}  // namespace
}  // namespace lockstep::run

#include "data/rows/class_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::data {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

// compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 5 + [1] * 3 + [2]) of scikit-learn 1.7.
TEST(ClassWeightsTest, BalancedOnesAreScikitLearns) {
  EXPECT_THAT(BalancedWeights({5, 3, 1}), Pointwise(DoubleNear(1e-15), {0.6, 1.0, 3.0}));
}

TEST(ClassWeightsTest, ClassesWithoutSamplesAreLeftOut) {
  EXPECT_THAT(BalancedWeights({4, 0, 4}), ElementsAre(1, 0, 1));
}

}  // namespace
}  // namespace lockstep::data

// Losses that no model of gradient_test.cc has, against central differences: one by one, and several that add up.
#include <gtest/gtest.h>

#include "tests/trainer/kernels/differences.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Graph;
using graph::ValueId;
using reference::Tensor;

TEST(LossGradientTest, OfMixedAndWeightedLabelsFollowsFromDifferences) {
  for (const graph::RowTargets targets : {graph::RowTargets::kWeighted, graph::RowTargets::kMixed}) {
    Builder builder(graph::Mode::kTrain, 4);
    const ValueId image = builder.Input("image", {6, 6, 2}, DType::kF32);
    builder.SoftmaxCrossEntropy(builder.Linear(builder.Flatten(image), "fc", 3, true, {0, 1}), 0.1f, targets);
    const Graph forward = builder.Finish();
    ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
  }
}

TEST(LossGradientTest, TemporalClassificationFollowsFromDifferences) {
  Builder builder(graph::Mode::kTrain, 4);
  const ValueId length = builder.Input("length", {}, DType::kI32), x = builder.Input("features", {6, 5}, DType::kF32);
  const ValueId y = builder.Lstm(builder.Conv1d(x, "conv", {4, 3, 1, 1, true, {0, 1}}), "rnn", {5, length});
  builder.Ctc(builder.Linear(y, "classes", 3, true, {0, 1}), builder.Input("transcript", {3}, DType::kI32), length,
              builder.Input("label_length", {}, DType::kI32));
  builder.MeanSquaredError(builder.Reshape(y, {4, 30}));
  const Graph forward = builder.Finish();
  ASSERT_EQ(forward.counters.size(), 1u);
  const Graph backward = passes::AddGradients(forward, {});
  const std::vector<Tensor> all = reference::RunGraph(forward, RandomValues(forward), kStepBlock);
  EXPECT_EQ(all[static_cast<size_t>(forward.counters[0].count)].data[0], 0) << "every sample has an alignment";
  ExpectGradientsOf(forward, backward);
}

TEST(LossGradientTest, OfDetectionLossesFollowsFromDifferences) {
  for (const bool labels : {false, true}) {
    for (const bool exponential : {false, true}) {
      Builder builder(graph::Mode::kTrain, 4);
      const ValueId image = builder.Input("image", {5, 6, 2}, DType::kF32);
      const ValueId map = builder.Conv2d(image, "map", {3, 3, 1, 1, 1, true, {0, 0.5f}});
      const ValueId sides = builder.Conv2d(image, "sides", {4, 3, 1, 1, 1, true, {0, 0.5f}});
      const ValueId target =
          labels ? builder.Input("label", {5, 6}, DType::kI32) : builder.Input("heat", {5, 6, 3}, DType::kF32);
      builder.FocalLoss("centers", map, target, builder.Input("mask", {}, DType::kF32),
                        {.positive = 0.25f, .negative = 0.75f, .clamp = labels ? 0.1f : 0.0f});
      builder.BoxLoss("boxes_loss", sides, builder.Input("boxes", {5, 6, 4}, DType::kF32),
                      builder.Input("weight", {5, 6}, DType::kF32), {.exponential = exponential, .factor = 0.5f});
      builder.SigmoidCrossEntropy("near", map, builder.Input("heat_of_cells", {5, 6, 3}, DType::kF32),
                                  builder.Input("weight_of_cells", {5, 6, 3}, DType::kF32));
      const Graph forward = builder.Finish();
      ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
    }
  }
}

TEST(LossGradientTest, SeveralLossesAddUpWithTheirOwnScales) {
  Builder builder(graph::Mode::kTrain, 5);
  const ValueId x = builder.Linear(builder.Input("features", {6}, DType::kF32), "body", 8, true, {0, 1});
  const ValueId body = builder.Activate(x, Activation::kTanh);
  builder.SoftmaxCrossEntropy(builder.Linear(body, "classes", 3, true, {0, 1}), 0);
  builder.MeanSquaredError(builder.Linear(body, "values", 2, true, {0, 1}));
  const Graph forward = builder.Finish();
  ASSERT_EQ(forward.losses.size(), 2u);
  ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
}

}  // namespace
}  // namespace lockstep

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Mode;
using graph::ValueId;
using ::testing::ElementsAre;

/// The activation in the attributes of `op`.
Activation Fused(const graph::Op& op) {
  if (const auto* linear = std::get_if<graph::LinearAttributes>(&op.attributes)) return linear->activation;
  if (const auto* conv = std::get_if<graph::Conv2dAttributes>(&op.attributes)) return conv->activation;
  if (const auto* norm = std::get_if<graph::NormAttributes>(&op.attributes)) return norm->activation;
  return std::get<graph::ActivationAttributes>(op.attributes).activation;
}

graph::Graph LinearWith(Activation activation) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, true, {});
  b.Output("y", b.Activate(x, activation));
  return b.Finish();
}

TEST(FuseActivations, TrainingFusesWhatCanBeUndoneFromTheResult) {
  for (Activation activation : {Activation::kRelu, Activation::kTanh, Activation::kSigmoid}) {
    const graph::Graph g = FuseActivations(LinearWith(activation), true);
    ASSERT_EQ(g.ops.size(), 1u) << Name(activation);
    EXPECT_EQ(Fused(g.ops[0]), activation);
    EXPECT_EQ(g.ops[0].outputs[0], g.outputs.at("y")) << "the fused op writes the activation's result";
  }
  for (Activation activation : {Activation::kGelu, Activation::kSilu}) {
    EXPECT_EQ(FuseActivations(LinearWith(activation), true).ops.size(), 2u) << Name(activation);
    EXPECT_EQ(FuseActivations(LinearWith(activation), false).ops.size(), 1u) << Name(activation);
  }
}

TEST(FuseActivations, ConvolutionsNormsAndSumsFuseRelu) {
  Builder b(Mode::kTrain, 4);
  const ValueId image = b.Input("image", {6, 6, 3}, DType::kF32);
  ValueId x = b.Activate(b.Conv2d(image, "conv", {3, 3, 1, 1, 1, false, {}}), Activation::kRelu);
  x = b.Activate(b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1), Activation::kRelu);
  b.Output("y", b.Activate(b.Add(x, image), Activation::kRelu));
  const graph::Graph g = FuseActivations(b.Finish(), true);
  EXPECT_THAT(OpTexts(g),
              ElementsAre("conv2d(image, conv.weight, -) -> relu1",
                          "batch_norm_train(relu1, bn.weight, bn.bias) -> relu2, bn/mean, bn/variance, bn/inv_std",
                          "add(relu2, image) -> relu3"));
  for (const graph::Op& op : g.ops) EXPECT_EQ(Fused(op), Activation::kRelu) << op.name;
}

TEST(FuseActivations, NormsAndSumsFuseNothingElse) {
  for (bool training : {true, false}) {
    Builder b(Mode::kTrain, 4);
    ValueId x = b.Input("features", {6}, DType::kF32);
    x = b.Activate(b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1), Activation::kTanh);
    b.Output("y", b.Activate(b.Add(x, x), Activation::kSigmoid));
    EXPECT_EQ(FuseActivations(b.Finish(), training).ops.size(), 4u);
  }
}

TEST(FuseActivations, AResultThatSomebodyElseReadsStays) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 6, true, {});
  b.Output("y", b.Add(b.Activate(x, Activation::kRelu), x));
  EXPECT_EQ(FuseActivations(b.Finish(), true).ops.size(), 3u);

  Builder named(Mode::kTrain, 4);
  const ValueId z = named.Linear(named.Input("features", {6}, DType::kF32), "fc", 6, true, {});
  named.Output("before", z);
  named.Output("after", named.Activate(z, Activation::kRelu));
  EXPECT_EQ(FuseActivations(named.Finish(), true).ops.size(), 2u) << "an output counts as a reader";
}

TEST(FuseActivations, TwoActivationsFuseOnce) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 6, true, {});
  b.Output("y", b.Activate(b.Activate(x, Activation::kRelu), Activation::kTanh));
  EXPECT_THAT(OpTexts(FuseActivations(b.Finish(), true)),
              ElementsAre("linear(features, fc.weight, fc.bias) -> relu1", "activation(relu1) -> tanh2"));
}

}  // namespace
}  // namespace lockstep::passes

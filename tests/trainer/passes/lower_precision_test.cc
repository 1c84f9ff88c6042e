#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/strided.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Mode;
using graph::Role;
using graph::ValueId;
using testing::Contains;
using testing::Pair;

std::map<std::string, DType> TypesByName(const graph::Graph& graph) {
  std::map<std::string, DType> types;
  for (const graph::Value& value : graph.values) types[value.name] = value.dtype;
  return types;
}

/// Names of the values of `graph` that are bf16.
std::vector<std::string> Lowered(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::Value& value : graph.values)
    if (value.dtype == DType::kBF16) names.push_back(value.name);
  return names;
}

/// Every kind of op that has results besides activations.
graph::Graph Convnet(Mode mode) {
  Builder b(mode, 4);
  ValueId x = b.Conv2d(b.Input("image", {6, 6, 3}, DType::kF32), "conv", {8, 3, 1, 1, 1, false, {}});
  x = b.Activate(b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1), Activation::kRelu);
  x = b.MaxPool2d(x, 2, 2, 0);
  x = b.Dropout(b.LayerNorm(b.Flatten(x), "ln", 1e-5f), 0.5f);
  b.SoftmaxCrossEntropy(b.Linear(x, "fc", 5, true, {}), 0.1f);
  return b.Finish();
}

TEST(LowerPrecision, ActivationsFollowTheInputs) {
  const graph::Graph lowered = LowerPrecision(Convnet(Mode::kTrain));
  EXPECT_THAT(TypesByName(lowered), Contains(Pair("image", DType::kBF16)));
  int results = 0;
  for (const graph::Op& op : lowered.ops) {
    if (op.kind == graph::OpKind::kSoftmaxCrossEntropy) continue;
    EXPECT_EQ(lowered.value(op.outputs[0]).dtype, DType::kBF16) << op.name;
    ++results;
  }
  EXPECT_EQ(results, 8);
}

TEST(LowerPrecision, ParametersStatisticsLossesAndCountersStay) {
  for (const Mode mode : {Mode::kTrain, Mode::kEvaluate}) {
    const graph::Graph before = Convnet(mode), lowered = LowerPrecision(before);
    for (const graph::Value& value : lowered.values) {
      const bool stays = value.role == Role::kParameter || value.role == Role::kStatistic;
      EXPECT_TRUE(!stays || value.dtype == DType::kF32) << value.name;
    }
    ASSERT_EQ(lowered.losses.size(), 1u);
    EXPECT_EQ(lowered.value(lowered.losses[0].sum).dtype, DType::kF64);
    ASSERT_EQ(lowered.counters.size(), 1u);
    EXPECT_EQ(lowered.value(lowered.counters[0].count).dtype, DType::kI64);
    EXPECT_THAT(TypesByName(lowered), Contains(Pair("label", DType::kI32)));
    EXPECT_EQ(OpTexts(lowered), OpTexts(before));
  }
}

TEST(LowerPrecision, WhatNormsAndPoolingKeepForTheirGradientsStays) {
  const graph::Graph lowered = LowerPrecision(Convnet(Mode::kTrain));
  int kept = 0;
  for (const graph::Op& op : lowered.ops) {
    if (op.kind == graph::OpKind::kMaxPool2d) {
      EXPECT_EQ(lowered.value(op.outputs[1]).dtype, DType::kU8);
    }
    if (op.kind != graph::OpKind::kBatchNormTrain && op.kind != graph::OpKind::kLayerNorm) continue;
    for (size_t i = 1; i < op.outputs.size(); ++i, ++kept)
      EXPECT_EQ(lowered.value(op.outputs[i]).dtype, DType::kF32) << op.name << " " << i;
  }
  EXPECT_EQ(kept, 3 + 2);
}

TEST(LowerPrecision, GradientsOfActivationsFollowAndThoseOfParametersStay) {
  const graph::Graph lowered = LowerPrecision(Convnet(Mode::kTrain));
  const graph::Graph trained = AddGradients(lowered, {});
  EXPECT_EQ(trained.gradients.size(), 7u) << "conv, bn and ln and fc with two each";
  for (const auto& [parameter, gradient] : trained.gradients)
    EXPECT_EQ(trained.value(gradient).dtype, DType::kF32) << trained.value(parameter).name;
  for (size_t i = lowered.ops.size(); i < trained.ops.size(); ++i) {
    const graph::Op& op = trained.ops[i];
    const graph::Value& first = trained.value(op.outputs[0]);
    bool parameters = false;  // not all of an op's results need be an activation's gradient
    for (const auto& [parameter, gradient] : trained.gradients) parameters |= gradient == op.outputs[0];
    EXPECT_EQ(first.dtype, parameters ? DType::kF32 : DType::kBF16) << op.name;
  }
}

TEST(LowerPrecision, WhatALossComparesWithStays) {
  Builder b(Mode::kTrain, 4);
  b.MeanSquaredError(b.Linear(b.Input("features", {6}, DType::kF32), "fc", 2, false, {}));
  const graph::Graph lowered = LowerPrecision(b.Finish());
  EXPECT_THAT(TypesByName(lowered),
              testing::IsSupersetOf({std::pair<const std::string, DType>("features", DType::kBF16),
                                     {"target", DType::kF32},
                                     {"mask", DType::kF32}}));
  EXPECT_EQ(lowered.value(lowered.losses[0].sum).dtype, DType::kF64);
  EXPECT_EQ(lowered.value(lowered.ops[0].outputs[0]).dtype, DType::kBF16) << "predictions are activations";
}

TEST(LowerPrecision, WhatDetectionLossesCompareWithStays) {
  Builder b(Mode::kTrain, 4);
  const ValueId map = b.Conv2d(b.Input("image", {6, 6, 3}, DType::kF32), "conv", {4, 3, 1, 1, 1, false, {}});
  b.FocalLoss("centers", map, b.Input("heat", {6, 6, 4}, DType::kF32), b.Input("mask", {}, DType::kF32), {});
  b.BoxLoss("boxes", map, b.Input("sides", {6, 6, 4}, DType::kF32), b.Input("weight", {6, 6}, DType::kF32), {});
  EXPECT_THAT(Lowered(LowerPrecision(b.Finish())), testing::UnorderedElementsAre("image", "conv"));
}

TEST(LowerPrecision, AllFloatInputsOfAModelGoTogether) {
  Builder b(Mode::kInfer, 4);
  const ValueId left = b.Input("left", {6}, DType::kF32), right = b.Input("right", {6}, DType::kF32);
  b.Output("y", b.Concat(b.Add(left, right), b.Activate(right, Activation::kGelu)));
  EXPECT_EQ(Lowered(LowerPrecision(b.Finish())).size(), 5u);
}

TEST(LowerPrecision, StatesOfRecurrentLayersStayAndGradientsOfTemporalClassificationFollow) {
  Builder b(Mode::kTrain, 4);
  const ValueId length = b.Input("length", {}, DType::kI32), x = b.Input("features", {6, 5}, DType::kF32);
  const graph::RecurrentStates start{b.Input("hidden", {8}, DType::kF32), b.Input("cell", {8}, DType::kF32)};
  const ValueId y = b.Linear(b.Lstm(x, "rnn", {8, length, false, 0, start}), "fc", 3, true, {});
  b.Ctc(y, b.Input("label", {2}, DType::kI32), length, b.Input("label_length", {}, DType::kI32));
  const graph::Graph lowered = LowerPrecision(b.Finish());
  EXPECT_THAT(Lowered(lowered), testing::UnorderedElementsAre("features", "rnn.gates_l0", "rnn_l0", "fc"));
  const graph::Graph trained = AddGradients(lowered, {});
  for (const graph::Op& op : trained.ops) {
    if (op.kind != graph::OpKind::kCtcGrad && op.kind != graph::OpKind::kLstmGrad) continue;
    EXPECT_EQ(trained.value(op.outputs[0]).dtype, DType::kBF16) << op.name;
  }
}

TEST(LowerPrecision, TwiceIsOnce) {
  const graph::Graph once = LowerPrecision(Convnet(Mode::kTrain)), twice = LowerPrecision(once);
  EXPECT_EQ(Lowered(twice), Lowered(once));
  EXPECT_FALSE(Lowered(once).empty());
}

TEST(LowerPrecision, WhatFollowsFromParametersAloneIsCastWhereItMeetsActivations) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Input("x", {3, 8}, DType::kF32), token = b.Parameter("token", {1, 1, 8}, {}, false);
  const ValueId tokens = b.Strided(token, graph::Expanded({1, 1, 8}, {4, 1, 8}));
  b.Output("y", b.Concat({tokens, x}, 1));
  const graph::Graph lowered = LowerPrecision(b.Finish());
  EXPECT_THAT(OpTexts(lowered), testing::ElementsAre("strided(token) -> strided1", "cast(strided1) -> concat1/strided1",
                                                     "concat(concat1/strided1, x) -> concat1"));
  EXPECT_THAT(TypesByName(lowered), Contains(Pair("strided1", DType::kF32)));
  EXPECT_THAT(TypesByName(lowered), Contains(Pair("concat1", DType::kBF16)));
}

}  // namespace
}  // namespace lockstep::passes

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Mode;
using graph::ValueId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

graph::Graph TwoLayers() {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  x = b.Activate(b.Linear(x, "fc1", 5, true, {}), Activation::kGelu);
  b.SoftmaxCrossEntropy(b.Linear(x, "fc2", 3, false, {}), 0);
  return b.Finish();
}

TEST(Autodiff, WalksBackwardAndSkipsTheInputs) {
  const graph::Graph forward = TwoLayers();
  const graph::Graph g = AddGradients(forward, {});
  EXPECT_THAT(OpTexts(g, forward.ops.size()),
              ElementsAre("softmax_cross_entropy_grad(fc2, label, loss/lse, step_block, -, -, -) -> loss/grad",
                          "linear_weight_grad(loss/grad, gelu1) -> fc2.weight/grad, fc2/weight_grad/dbias",
                          "linear_input_grad(loss/grad, fc2.weight) -> fc2/input_grad",
                          "activation_grad(fc2/input_grad, fc1) -> gelu1/grad",
                          "linear_weight_grad(gelu1/grad, features) -> fc1.weight/grad, fc1.bias/grad"));
  EXPECT_THAT(GradientTexts(g),
              ElementsAre("fc1.weight: fc1.weight/grad", "fc1.bias: fc1.bias/grad", "fc2.weight: fc2.weight/grad"));
}

TEST(Autodiff, StatesOfRecurrentLayersHaveNoGradient) {
  const auto message = [](auto build) -> std::string {
    Builder b(Mode::kTrain, 4);
    build(b, b.Input("features", {7, 6}, DType::kF32));
    const graph::Graph forward = b.Finish();
    try {
      AddGradients(forward, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                graph::RecurrentStates last;
                b.Lstm(x, "rnn", {5, graph::kNoValue, false, 0, {}}, &last);
                b.MeanSquaredError(last.cell);
              }),
              HasSubstr("its last states have no gradient"));
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                const ValueId start = b.Linear(b.Input("start", {3}, DType::kF32), "fc", 5, true, {});
                const ValueId y = b.Gru(x, "rnn", {5, graph::kNoValue, false, 0, {start, graph::kNoValue}});
                b.SoftmaxCrossEntropy(y, 0);
              }),
              HasSubstr("its first states have no gradient"));
}

TEST(Autodiff, FusedActivationsAreUndoneFromTheResult) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  x = b.Activate(b.Linear(x, "fc1", 3, false, {}), Activation::kTanh);
  b.MeanSquaredError(x);
  const graph::Graph fused = FuseActivations(b.Finish(), true);
  ASSERT_EQ(fused.ops.size(), 2u);
  EXPECT_THAT(
      OpTexts(AddGradients(fused, {}), 2),
      ElementsAre("mean_squared_error_grad(tanh1, target, mask, step_block) -> loss/grad",
                  "activation_grad(loss/grad, tanh1) -> fc1/activation_grad",
                  "linear_weight_grad(fc1/activation_grad, features) -> fc1.weight/grad, fc1/weight_grad/dbias"));
}

TEST(Autodiff, FrozenParametersHaveNoGradientAndStopTheWalk) {
  const graph::Graph forward = TwoLayers();
  const graph::Graph g = AddGradients(forward, {"fc1.weight", "fc1.bias"});
  EXPECT_THAT(OpTexts(g, forward.ops.size()),
              ElementsAre("softmax_cross_entropy_grad(fc2, label, loss/lse, step_block, -, -, -) -> loss/grad",
                          "linear_weight_grad(loss/grad, gelu1) -> fc2.weight/grad, fc2/weight_grad/dbias"));
  EXPECT_THAT(GradientTexts(g), ElementsAre("fc2.weight: fc2.weight/grad"));

  const graph::Graph behind = AddGradients(forward, {"fc2.weight", "fc1.bias"});
  EXPECT_THAT(GradientTexts(behind), ElementsAre("fc1.weight: fc1.weight/grad"))
      << "gradients pass through frozen layers";

  const graph::Graph nothing = AddGradients(forward, {"fc1.weight", "fc1.bias", "fc2.weight"});
  EXPECT_EQ(nothing.ops.size(), forward.ops.size());
  EXPECT_THAT(GradientTexts(nothing), IsEmpty());
}

TEST(Autodiff, UsesOfAValueAreSummedInEmissionOrder) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc1", 5, false, {});
  const ValueId y = b.Linear(x, "fc2", 5, false, {});
  b.MeanSquaredError(b.Add(y, x));
  const graph::Graph forward = b.Finish();
  const graph::Graph g = AddGradients(forward, {});
  EXPECT_THAT(OpTexts(g, forward.ops.size()),
              ElementsAre("mean_squared_error_grad(add1, target, mask, step_block) -> loss/grad",
                          "linear_weight_grad(loss/grad, fc1) -> fc2.weight/grad, fc2/weight_grad/dbias",
                          "linear_input_grad(loss/grad, fc2.weight) -> fc2/input_grad",
                          "add(loss/grad, fc2/input_grad) -> fc1/grad_sum",
                          "linear_weight_grad(fc1/grad_sum, features) -> fc1.weight/grad, fc1/weight_grad/dbias"));
}

TEST(Autodiff, TiedParametersSumTheirUses) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  const ValueId weight = b.Parameter("tied", {6, 6}, {}, true);
  graph::Graph g = b.Finish();
  x = AppendOp(g, graph::OpKind::kLinear, {x, weight, graph::kNoValue}, graph::LinearAttributes{}, "first")[0];
  x = AppendOp(g, graph::OpKind::kLinear, {x, weight, graph::kNoValue}, graph::LinearAttributes{}, "second")[0];
  x = AppendOp(g, graph::OpKind::kLinear, {x, weight, graph::kNoValue}, graph::LinearAttributes{}, "third")[0];
  g.values.push_back({.name = "label", .shape = {4}, .dtype = DType::kI32, .role = graph::Role::kInput});
  const ValueId label = static_cast<ValueId>(g.values.size() - 1);
  const ValueId sum = AppendOp(g, graph::OpKind::kSoftmaxCrossEntropy, {x, label}, graph::LossAttributes{}, "loss")[0];
  g.losses.push_back({.name = "loss", .sum = sum});

  const graph::Graph result = AddGradients(g, {});
  std::vector<std::string> sums;
  for (const std::string& text : OpTexts(result)) {
    if (text.starts_with("add(")) sums.push_back(text);
  }
  EXPECT_THAT(sums, ElementsAre("add(third/weight_grad, second/weight_grad) -> tied/grad_sum",
                                "add(tied/grad_sum, first/weight_grad) -> tied/grad"));
  EXPECT_THAT(GradientTexts(result), ElementsAre("tied: tied/grad"));
}

TEST(Autodiff, AGradientThatIsTwoParametersIsCopiedForTheSecond) {
  Builder b(Mode::kTrain, 4);
  const ValueId p = b.Parameter("p", {4, 3}, {}, true), q = b.Parameter("q", {4, 3}, {}, true);
  b.MeanSquaredError(b.Add(p, q));
  const graph::Graph forward = b.Finish();
  const graph::Graph g = AddGradients(forward, {});
  EXPECT_THAT(
      OpTexts(g, forward.ops.size()),
      ElementsAre("mean_squared_error_grad(add1, target, mask, step_block) -> p/grad", "reshape(p/grad) -> q/grad"));
  EXPECT_NE(g.gradients.at(p), g.gradients.at(q));
}

TEST(Autodiff, SeveralLossesAddTheirGradients) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 3, false, {});
  b.SoftmaxCrossEntropy(x, 0);
  b.MeanSquaredError(x);
  const graph::Graph forward = b.Finish();
  const graph::Graph g = AddGradients(forward, {});
  EXPECT_THAT(OpTexts(g, forward.ops.size()),
              ElementsAre("mean_squared_error_grad(fc, target, mask, step_block) -> loss2/grad",
                          "softmax_cross_entropy_grad(fc, label, loss/lse, step_block, -, -, -) -> loss/grad",
                          "add(loss2/grad, loss/grad) -> fc/grad_sum",
                          "linear_weight_grad(fc/grad_sum, features) -> fc.weight/grad, fc/weight_grad/dbias"));
}

TEST(Autodiff, NormsReadWhatTheForwardOpKept) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, false, {});
  x = b.Activate(b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1), Activation::kRelu);
  b.MeanSquaredError(b.LayerNorm(x, "ln", 1e-5f));
  const graph::Graph forward = FuseActivations(b.Finish(), true);
  const std::vector<std::string> texts = OpTexts(AddGradients(forward, {}), forward.ops.size());
  ASSERT_EQ(texts.size(), 4u);
  EXPECT_EQ(
      texts[1],
      "layer_norm_grad(loss/grad, relu1, ln.weight, ln/mean, ln/inv_std) -> ln/grad, ln.weight/grad, ln.bias/grad");
  EXPECT_EQ(texts[2],
            "batch_norm_grad(ln/grad, fc, bn.weight, bn/mean, bn/inv_std, relu1, -) -> bn/grad, bn.weight/grad, "
            "bn.bias/grad");
}

TEST(Autodiff, ImageOpsCarryTheShapeThatTheyGoBackTo) {
  Builder b(Mode::kTrain, 2);
  ValueId x = b.Input("image", {9, 9, 3}, DType::kF32);
  x = b.Conv2d(x, "stem", {4, 3, 1, 1, 1, true, {}});
  x = b.MaxPool2d(x, 3, 2, 0);
  x = b.Dropout(b.PadChannels(x, 2, 6), 0.5f);
  x = b.AveragePool2d(x, 2, 1, 0);
  x = b.Conv2d(x, "conv", {4, 1, 1, 0, 2, false, {}});
  b.SoftmaxCrossEntropy(b.Linear(b.Flatten(x), "fc", 3, true, {}), 0);
  const graph::Graph g = AddGradients(b.Finish(), {});
  for (const graph::Graph* graph : {&g}) {
    for (const auto& [parameter, gradient] : graph->gradients) {
      EXPECT_EQ(graph->value(parameter).shape, graph->value(gradient).shape);
    }
  }
  EXPECT_EQ(g.gradients.size(), 5u);
  EXPECT_EQ(g.value(g.Find("max_pool2d1/input_grad")).shape, (Shape{2, 9, 9, 4}));
  EXPECT_EQ(g.value(g.Find("pad_channels1/grad")).shape, (Shape{2, 4, 4, 4}));
  EXPECT_EQ(g.value(g.Find("average_pool2d1/input_grad")).shape, (Shape{2, 2, 2, 6}));
  EXPECT_EQ(g.Find("stem/input_grad"), graph::kNoValue) << "nobody wants the image's gradient";
}

}  // namespace
}  // namespace lockstep::passes

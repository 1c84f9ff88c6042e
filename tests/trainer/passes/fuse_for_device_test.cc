#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Builder;
using graph::Graph;
using graph::Mode;
using graph::ValueId;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kWidth = 8;

Graph Trained(Builder& b) { return RemoveDeadOps(AddGradients(b.Finish(), {})); }

ValueId Features(Builder& b) { return b.Input("features", {kWidth}, DType::kF32); }

TEST(FuseForDevice, ACrossEntropyTakesItsGradientIn) {
  Builder b(Mode::kTrain, 4);
  b.SoftmaxCrossEntropy(b.Linear(Features(b), "fc", 3, false, {}), 0.1f, graph::RowTargets::kMixed);
  const Graph trained = Trained(b), fused = FuseForDevice(trained);
  EXPECT_THAT(OpTexts(fused),
              ElementsAre("linear(features, fc.weight, -) -> fc",
                          "softmax_cross_entropy_train(fc, label, step_block, weight, other_label, other_weight) -> "
                          "loss/grad, loss, loss/correct",
                          "linear_weight_grad(loss/grad, features) -> fc.weight/grad, -"));
  EXPECT_EQ(fused.ops[1].attributes, trained.ops[1].attributes);
  const MemoryPlan plan = PlanMemory(fused, Liveness(fused), {});
  EXPECT_EQ(plan.offset[static_cast<size_t>(fused.Find("fc"))],
            plan.offset[static_cast<size_t>(fused.Find("loss/grad"))])
      << "written over the logits";
}

TEST(FuseForDevice, ACrossEntropyWithoutAGradientStays) {
  Builder b(Mode::kEvaluate, 4);
  b.SoftmaxCrossEntropy(b.Linear(Features(b), "fc", 3, false, {}), 0);
  EXPECT_THAT(OpTexts(FuseForDevice(b.Finish())), Contains(HasSubstr("softmax_cross_entropy(fc, label")));
}

TEST(FuseForDevice, SumsGoIntoTheNormBehindThemAndIntoItsGradient) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(Features(b), "first", kWidth, false, {});
  const ValueId sum = b.Add(x, b.Linear(x, "branch", kWidth, false, {}));
  const ValueId y = b.Linear(b.LayerNorm(sum, "norm", 1e-5f), "second", kWidth, false, {});
  b.MeanSquaredError(b.RmsNorm(b.Add(sum, y), "last", 1e-5f));
  const std::vector<std::string> ops = OpTexts(FuseForDevice(Trained(b)));
  EXPECT_THAT(ops, Contains("add_layer_norm(first, branch, norm.weight, norm.bias) -> add1, norm, norm/mean, "
                            "norm/inv_std"));
  EXPECT_THAT(ops, Contains("add_rms_norm(add1, second, last.weight) -> add2, last, last/inv_rms"));
  EXPECT_THAT(ops, Contains(HasSubstr("add_layer_norm_grad(last/grad, second/input_grad, add1, norm.weight, norm/mean, "
                                      "norm/inv_std) -> add1/grad_sum, norm.weight/grad, norm.bias/grad")));
  EXPECT_THAT(ops, Contains(HasSubstr("rms_norm_grad(loss/grad, add2, last.weight, last/inv_rms) -> last/grad")))
      << "nobody else has a gradient for what it normalises";
  EXPECT_THAT(ops, Contains(HasSubstr("add(add1/grad_sum, branch/input_grad) -> first/grad_sum")))
      << "no norm's gradient";
}

TEST(FuseForDevice, ANormElsewhereStays) {
  Builder b(Mode::kTrain, 4);
  const ValueId sum = b.Add(Features(b), b.Linear(Features(b), "fc", kWidth, false, {}));
  const ValueId other = b.Linear(sum, "other", kWidth, false, {});
  b.MeanSquaredError(b.Add(b.LayerNorm(sum, "norm", 1e-5f), other));
  EXPECT_THAT(OpTexts(FuseForDevice(Trained(b))), Not(Contains(HasSubstr("add_layer_norm("))));
}

TEST(FuseForDevice, ASumWithAnActivationStays) {
  Builder b(Mode::kTrain, 4);
  const ValueId sum = b.Add(Features(b), b.Linear(Features(b), "fc", kWidth, false, {}));
  b.MeanSquaredError(b.LayerNorm(b.Activate(sum, graph::Activation::kRelu), "norm", 1e-5f));
  EXPECT_THAT(OpTexts(FuseForDevice(RemoveDeadOps(AddGradients(FuseActivations(b.Finish(), true), {})))),
              Not(Contains(HasSubstr("add_layer_norm("))));
}

TEST(FuseForDevice, ABatchNormsGradientFindsItsMaskWithoutTheResult) {
  for (const bool relu : {false, true}) {
    Builder b(Mode::kTrain, 4);
    const ValueId x = b.BatchNorm(b.Linear(Features(b), "fc", kWidth, false, {}), "bn", 1e-5f, 0.1f, 1);
    b.MeanSquaredError(relu ? b.Activate(x, graph::Activation::kRelu) : x);
    const Graph fused = FuseForDevice(RemoveDeadOps(AddGradients(FuseActivations(b.Finish(), true), {})));
    EXPECT_THAT(OpTexts(fused), Contains(HasSubstr(relu ? "fc, bn.weight, bn/mean, bn/inv_std, -, bn.bias)"
                                                        : "fc, bn.weight, bn/mean, bn/inv_std, -, -)")));
  }
}

/// Two residual blocks: one with a norm on its shortcut, one without.
Graph ResidualBlocks() {
  Builder b(Mode::kTrain, 4);
  const auto norm = [&](ValueId x, const std::string& name) { return b.BatchNorm(x, name, 1e-5f, 0.1f, 1); };
  const auto relu = [&](ValueId x) { return b.Activate(x, graph::Activation::kRelu); };
  ValueId x = relu(norm(b.Linear(Features(b), "fc0", kWidth, false, {}), "bn0"));
  const ValueId branch = norm(b.Linear(x, "fc1", kWidth, false, {}), "bn1");
  x = relu(b.Add(branch, norm(b.Linear(x, "down", kWidth, false, {}), "down_bn")));
  x = relu(b.Add(norm(b.Linear(x, "fc2", kWidth, false, {}), "bn2"), x));
  b.MeanSquaredError(x);
  return RemoveDeadOps(AddGradients(FuseActivations(b.Finish(), true), {}));
}

TEST(FuseForDevice, AResidualSumAndItsReluGoIntoTheBatchNormBeforeThem) {
  const std::vector<std::string> ops = OpTexts(FuseForDevice(ResidualBlocks()));
  EXPECT_THAT(ops, Contains("batch_norm_add_train(down, bn1, down_bn.weight, down_bn.bias) -> relu2, "
                            "down_bn/mean, down_bn/variance, down_bn/inv_std"))
      << "the later of two";
  EXPECT_THAT(ops, Contains(HasSubstr("batch_norm_add_train(fc2, relu2, bn2.weight, bn2.bias) -> relu3")));
  EXPECT_THAT(ops, Not(Contains(testing::StartsWith("add("))));
}

TEST(FuseForDevice, ABatchNormsGradientTakesInTheRelusAndTheSumOfTwoBranches) {
  const std::vector<std::string> ops = OpTexts(FuseForDevice(ResidualBlocks()));
  EXPECT_THAT(ops, Contains("batch_norm_add_grad(loss/grad, -, fc2, bn2.weight, bn2/mean, bn2/inv_std, relu3, -) "
                            "-> bn2/grad, bn2.weight/grad, bn2.bias/grad, add2/activation_grad"))
      << "one gradient, through the block's relu";
  EXPECT_THAT(ops,
              Contains("batch_norm_add_grad(add2/activation_grad, fc2/input_grad, down, down_bn.weight, down_bn/mean, "
                       "down_bn/inv_std, relu2, -) -> down_bn/grad, down_bn.weight/grad, down_bn.bias/grad, "
                       "add1/activation_grad"))
      << "two gradients, through the block's relu";
  EXPECT_THAT(
      ops, Contains("batch_norm_grad(add1/activation_grad, fc1, bn1.weight, bn1/mean, bn1/inv_std, -, -) -> bn1/grad, "
                    "bn1.weight/grad, bn1.bias/grad"))
      << "the other branch's norm has the gradient ready";
  EXPECT_THAT(ops, Contains(HasSubstr("batch_norm_add_grad(down/input_grad, fc1/input_grad, fc0, bn0.weight, bn0/mean, "
                                      "bn0/inv_std, -, bn0.bias)")))
      << "two gradients, through the norm's own relu";
}

TEST(FuseForDevice, ABatchNormThatOthersReadStays) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(Features(b), "fc", kWidth, false, {});
  const ValueId norm = b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1);
  b.MeanSquaredError(b.Add(b.Add(norm, x), b.Linear(norm, "other", kWidth, false, {})));
  EXPECT_THAT(OpTexts(FuseForDevice(Trained(b))), Not(Contains(HasSubstr("batch_norm_add_train"))));
}

TEST(FuseForDevice, EveryFusedOpPassesItsOwnChecks) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(Features(b), "first", kWidth, false, {});
  const ValueId sum = b.Add(x, b.Linear(x, "branch", kWidth, false, {}));
  b.SoftmaxCrossEntropy(b.Add(sum, b.RmsNorm(sum, "norm", 1e-5f)), 0);
  for (const Graph& fused : {FuseForDevice(Trained(b)), FuseForDevice(ResidualBlocks())}) {
    for (const graph::Op& op : fused.ops) {
      const auto specs = graph::Row(op.kind).infer(fused, op);
      ASSERT_EQ(specs.size(), op.outputs.size()) << op.name;
      for (size_t i = 0; i < specs.size(); ++i) {
        if (op.outputs[i] == graph::kNoValue) continue;
        EXPECT_EQ(specs[i].shape, fused.value(op.outputs[i]).shape) << op.name;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::passes

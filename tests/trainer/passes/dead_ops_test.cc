#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Builder;
using graph::Mode;
using graph::ValueId;
using ::testing::ElementsAre;

TEST(RemoveDeadOps, KeepsWhatResultsDependOn) {
  Builder b(Mode::kEvaluate, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32);
  const ValueId y = b.Linear(x, "fc", 5, true, {});
  b.Activate(b.Linear(y, "unread", 5, true, {}), graph::Activation::kTanh);
  b.SoftmaxCrossEntropy(y, 0);
  b.Output("probabilities", b.Activate(y, graph::Activation::kSigmoid));
  EXPECT_THAT(OpTexts(RemoveDeadOps(b.Finish())),
              ElementsAre("linear(features, fc.weight, fc.bias) -> fc",
                          "softmax_cross_entropy(fc, label, -, -, -) -> loss, loss/lse, loss/correct",
                          "activation(fc) -> sigmoid2"));
}

TEST(RemoveDeadOps, DropsOptionalOutputsThatNobodyReads) {
  const auto build = [](Mode mode) {
    Builder b(mode, 4);
    ValueId x = b.Input("image", {6, 6, 3}, DType::kF32);
    x = b.MaxPool2d(b.Conv2d(x, "conv", {4, 3, 1, 1, 1, false, {}}), 2, 2, 0);
    b.SoftmaxCrossEntropy(b.LayerNorm(b.Flatten(x), "ln", 1e-5f), 0);
    return b.Finish();
  };
  const graph::Graph evaluated = RemoveDeadOps(build(Mode::kEvaluate));
  EXPECT_EQ(OpTexts(evaluated)[1], "max_pool2d(conv) -> max_pool2d1, -");
  EXPECT_EQ(OpTexts(evaluated)[3], "layer_norm(flatten1, ln.weight, ln.bias) -> ln, -, -");

  const graph::Graph trained = RemoveDeadOps(AddGradients(build(Mode::kTrain), {}));
  EXPECT_EQ(OpTexts(trained)[1], "max_pool2d(conv) -> max_pool2d1, max_pool2d1/index");
  EXPECT_EQ(OpTexts(trained)[3], "layer_norm(flatten1, ln.weight, ln.bias) -> ln, ln/mean, ln/inv_std");
  EXPECT_EQ(OpTexts(trained).back(), "conv2d_weight_grad(max_pool2d1/input_grad, image) -> conv.weight/grad, -")
      << "the convolution has no bias, so its gradient is not computed";
}

TEST(RemoveDeadOps, LaneStatisticsAreRead) {
  Builder b(Mode::kTrain, 4);
  b.BatchNorm(b.Input("features", {6}, DType::kF32), "bn", 1e-5f, 0.1f, 1);
  EXPECT_EQ(RemoveDeadOps(b.Finish()).ops.size(), 1u);
}

TEST(Liveness, SpansFromTheWriterToTheLastReader) {
  Builder b(Mode::kEvaluate, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32);
  const ValueId a = b.Linear(x, "a", 6, true, {});
  const ValueId c = b.Linear(a, "c", 6, true, {});
  const ValueId d = b.Add(a, c);
  b.Output("d", d);
  const graph::Graph g = b.Finish();
  const std::vector<Lifetime> lifetimes = Liveness(g);
  const auto of = [&](ValueId id) {
    return std::pair(lifetimes[static_cast<size_t>(id)].first, lifetimes[static_cast<size_t>(id)].last);
  };
  EXPECT_EQ(of(a), std::pair(0, 2));
  EXPECT_EQ(of(c), std::pair(1, 2));
  EXPECT_EQ(of(d), std::pair(2, 3)) << "results live past the last op";
  EXPECT_EQ(of(x), std::pair(-1, -1)) << "inputs have memory of their own";
  EXPECT_EQ(of(g.Find("a.weight")), std::pair(-1, -1));
}

}  // namespace
}  // namespace lockstep::passes

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/kernels/differences.h"
#include "tests/trainer/passes/graph_text.h"
#include "tests/trainer/passes/random_graph.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::BinaryFunction;
using graph::Builder;
using graph::FusedAttributes;
using graph::Mode;
using graph::UnaryFunction;
using graph::ValueId;
using ::testing::ElementsAre;

/// Hard swish in three ops, which no single activation is.
ValueId Composed(Builder& b, ValueId x) {
  const ValueId gate = b.Unary(b.Binary(BinaryFunction::kAdd, x, 3.0f), {UnaryFunction::kClip, 0, 6});
  return b.Binary(BinaryFunction::kDivide, b.Binary(BinaryFunction::kMultiply, x, gate), 6.0f);
}

/// Whether both compute the same output "y".
void ExpectSame(const graph::Graph& a, const graph::Graph& b) {
  const Values values = RandomValues(a);
  const auto of = [&](const graph::Graph& graph) {
    return reference::RunGraph(graph, values, kStepBlock)[static_cast<size_t>(graph.outputs.at("y"))].data;
  };
  EXPECT_EQ(of(a), of(b));
}

TEST(FuseElementwise, AChainBecomesOneOp) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, true, {});
  b.Output("y", Composed(b, x));
  const graph::Graph chain = b.Finish(), fused = FuseElementwise(chain);
  EXPECT_THAT(OpTexts(fused), ElementsAre("linear(features, fc.weight, fc.bias) -> fc",
                                          "fused_elementwise(fc, -, -, -, -, -, -, -) -> binary3"));
  EXPECT_EQ(fused.ops[1].as<FusedAttributes>().steps.size(), 4u);
  ExpectSame(chain, fused);
}

TEST(FuseElementwise, ATreeTakesSumsActivationsChoicesAndCastsIn) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32), w = b.Parameter("w", {6}, {}, false);
  const ValueId id = b.Input("id", {6}, DType::kI32);
  const ValueId sum = b.Add(b.Binary(BinaryFunction::kMultiply, x, w), b.Activate(x, Activation::kTanh));
  const ValueId mask = b.Cast(id, DType::kF32);
  b.Output("y", b.Where(mask, sum, graph::kNoValue, {0, -1}));
  const graph::Graph tree = b.Finish(), fused = FuseElementwise(tree);
  ASSERT_EQ(fused.ops.size(), 1u);
  EXPECT_EQ(fused.ops[0].as<FusedAttributes>().inputs, 3);
  EXPECT_EQ(fused.ops[0].as<FusedAttributes>().steps.size(), 4u) << "a cast is no step";
  ExpectSame(tree, fused);
}

TEST(FuseElementwise, WhatIsReadElsewhereStays) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32);
  const ValueId inner = b.Unary(x, {UnaryFunction::kExp});
  b.Output("inner", inner);
  b.Output("y", b.Unary(inner, {UnaryFunction::kSqrt}));
  EXPECT_EQ(FuseElementwise(b.Finish()).ops.size(), 2u);
}

TEST(FuseElementwise, WhatIsSmallerThanTheResultIsNotComputedForEachElement) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32);
  const ValueId w = b.Unary(b.Parameter("w", {6}, {}, false), {UnaryFunction::kExp});
  b.Output("y", b.Binary(BinaryFunction::kMultiply, x, w));
  EXPECT_EQ(FuseElementwise(b.Finish()).ops.size(), 2u);
}

TEST(FuseElementwise, TheResultMayLieOverTheFirstInput) {
  Builder b(Mode::kInfer, 4);
  const ValueId w = b.Parameter("w", {5}, {}, false);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, true, {});
  const ValueId scaled = b.Binary(BinaryFunction::kMultiply, w, x);
  b.Output("y", b.Unary(scaled, {UnaryFunction::kSin}));
  const graph::Graph fused = FuseElementwise(b.Finish());
  ASSERT_EQ(fused.ops.size(), 2u);
  EXPECT_EQ(ValueName(fused, fused.ops[1].inputs[0]), "fc");
}

TEST(FuseElementwise, LongChainsAreCutWhereAnOpHasNoMoreRoom) {
  Builder b(Mode::kInfer, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  for (int i = 0; i < 40; ++i) x = b.Unary(x, {UnaryFunction::kSin});
  for (int i = 0; i < 12; ++i) {
    const ValueId w = b.Parameter("w" + std::to_string(i), {6}, {}, false);
    x = b.Binary(BinaryFunction::kAdd, x, w);
  }
  b.Output("y", x);
  const graph::Graph chain = b.Finish(), fused = FuseElementwise(chain);
  EXPECT_LE(fused.ops.size(), 6u);
  ExpectSame(chain, fused);
}

TEST(FuseElementwise, StatesAreReadBeforeTheyAreWrittenOver) {
  Builder b(Mode::kInfer, 4);
  const ValueId cache = b.State("cache", {3, 6}), first = b.Input("first", {}, DType::kI32);
  const ValueId before = b.Unary(cache, {UnaryFunction::kExp});
  b.NextState("cache", b.CacheAppend(cache, b.Input("x", {1, 6}, DType::kF32), first, 0, 6));
  b.Output("y", b.Unary(before, {UnaryFunction::kSqrt}));
  EXPECT_EQ(FuseElementwise(b.Finish()).ops.size(), 3u);
}

TEST(FuseElementwise, GradientsStayWhatTheyAre) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 10, true, {0, 1}, {0, 1});
  const ValueId y = b.Binary(BinaryFunction::kDivide, Composed(b, x),
                             b.Binary(BinaryFunction::kAdd, b.Unary(x, {UnaryFunction::kSoftplus}), 1.0f));
  b.MeanSquaredError(b.Linear(y, "last", 3, true, {0, 1}));
  const graph::Graph forward = b.Finish();
  const graph::Graph plain = RemoveDeadOps(AddGradients(forward, {})), fused = FuseElementwise(plain);
  EXPECT_LT(fused.ops.size(), plain.ops.size());
  ExpectGradientsOf(forward, fused);
}

TEST(FuseElementwise, LeavesGraphsOfFamiliesOpsAlone) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const graph::Graph plain = RemoveDeadOps(RandomGraph(seed)), fused = FuseElementwise(plain);
    EXPECT_EQ(OpTexts(fused), OpTexts(plain));
  }
}

}  // namespace
}  // namespace lockstep::passes

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Builder;
using graph::Graph;
using graph::OpKind;
using graph::ValueId;

Graph TwoNorms(graph::Mode mode) {
  Builder b(mode, 4);
  ValueId x = b.Linear(b.Input("features", {3}, DType::kF32), "fc1", 5, true, {});
  x = b.BatchNorm(x, "a", 1e-5f, 0.1f, 1);
  x = b.BatchNorm(b.Linear(x, "fc2", 2, true, {}), "b", 1e-5f, 0.1f, 1);
  b.SoftmaxCrossEntropy(x, 0);
  return b.Finish();
}

/// The norms' kinds.
std::vector<OpKind> Norms(const Graph& graph) {
  std::vector<OpKind> kinds;
  for (const graph::Op& op : graph.ops)
    if (op.kind == OpKind::kBatchNormTrain || op.kind == OpKind::kBatchNormInfer) kinds.push_back(op.kind);
  return kinds;
}

TEST(FreezeStatistics, NormsReadThemAndMoveThemNoMore) {
  const Graph forward = TwoNorms(graph::Mode::kTrain);
  const Graph frozen = FreezeStatistics(forward, {"a.running_mean", "a.running_var"});
  EXPECT_EQ(Norms(frozen), (std::vector{OpKind::kBatchNormInfer, OpKind::kBatchNormTrain}));
  ASSERT_EQ(frozen.statistic_updates.size(), 2u);
  EXPECT_EQ(ValueName(frozen, frozen.statistic_updates[0].statistic), "b.running_mean");
  EXPECT_EQ(ValueNames(frozen, frozen.ops[1].inputs).substr(ValueNames(frozen, frozen.ops[1].inputs).find("a.")),
            "a.weight, a.bias, a.running_mean, a.running_var");
  EXPECT_EQ(OpTexts(FreezeStatistics(forward, {})), OpTexts(forward));
}

TEST(FreezeStatistics, GradientsGoThroughToWhatLiesBefore) {
  const Graph frozen = FreezeStatistics(TwoNorms(graph::Mode::kTrain), {"a.running_mean", "a.running_var"});
  const Graph graph = RemoveDeadOps(AddGradients(frozen, {"a.weight", "a.bias"}));
  std::vector<std::string> of;
  for (const auto& [parameter, gradient] : graph.gradients) of.push_back(ValueName(graph, parameter));
  EXPECT_THAT(of,
              testing::UnorderedElementsAre("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "b.weight", "b.bias"));
}

}  // namespace
}  // namespace lockstep::passes

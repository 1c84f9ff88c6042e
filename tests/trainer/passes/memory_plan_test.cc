#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/memory.h"
#include "tests/trainer/passes/graph_text.h"
#include "tests/trainer/passes/random_graph.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Graph;
using graph::kNoValue;
using graph::Mode;
using graph::ValueId;

int64_t PaddedBytes(const graph::Value& value) {
  return static_cast<int64_t>(AlignUp(static_cast<size_t>(value.shape.size() * SizeOf(value.dtype)), kValueAlignment));
}

std::set<ValueId> Outside(const Graph& g) {
  std::set<ValueId> outside;
  for (const auto& [parameter, gradient] : g.gradients) outside.insert(gradient);
  for (const auto& update : g.statistic_updates) outside.insert(update.lane_value);
  return outside;
}

/// Runs the plan with tokens for contents: every byte knows which value was written there last. A value that is read
/// must be what its own writer left, or what an op that may write over it left for it.
void ExpectReadsFindWhatWasWritten(const Graph& g, const MemoryPlan& plan, const std::set<ValueId>& outside) {
  constexpr int64_t kUnit = static_cast<int64_t>(kValueAlignment);
  std::vector<ValueId> memory(static_cast<size_t>(plan.bytes / kUnit), kNoValue);
  std::vector<ValueId> content(g.values.size());  // by value: the value whose bytes it holds (reshapes share them)
  for (size_t id = 0; id < content.size(); ++id) content[id] = static_cast<ValueId>(id);
  const auto cells = [&](ValueId id) {
    const int64_t offset = plan.offset[static_cast<size_t>(id)];
    return offset < 0 ? std::span<ValueId>()
                      : std::span(memory).subspan(static_cast<size_t>(offset / kUnit),
                                                  static_cast<size_t>(PaddedBytes(g.value(id)) / kUnit));
  };
  const auto expect_intact = [&](ValueId id, const std::string& reader) {
    for (ValueId cell : cells(id)) {
      ASSERT_EQ(cell, content[static_cast<size_t>(id)]) << reader << " reads " << g.value(id).name;
    }
  };
  for (const graph::Op& op : g.ops) {
    for (ValueId id : op.inputs) {
      if (id != kNoValue) expect_intact(id, op.name);
    }
    // Outputs must not lie on inputs, save where the table allows it, nor on each other.
    const bool alias = op.kind == graph::OpKind::kReshape && !outside.contains(op.outputs[0]);
    if (alias) {
      content[static_cast<size_t>(op.outputs[0])] = content[static_cast<size_t>(op.inputs[0])];
      EXPECT_EQ(plan.offset[static_cast<size_t>(op.outputs[0])], plan.offset[static_cast<size_t>(op.inputs[0])]);
      continue;
    }
    for (size_t o = 0; o < op.outputs.size(); ++o) {
      if (op.outputs[o] == kNoValue) continue;
      for (ValueId& cell : cells(op.outputs[o])) {
        for (size_t i = 0; i < op.inputs.size(); ++i) {
          const bool allowed = o == 0 && static_cast<int>(i) == graph::Row(op.kind).in_place;
          if (op.inputs[i] == kNoValue || allowed) continue;
          ASSERT_NE(cell, content[static_cast<size_t>(op.inputs[i])]) << op.name << " overwrites its own operand " << i;
        }
        for (size_t earlier = 0; earlier < o; ++earlier) ASSERT_NE(cell, op.outputs[earlier]) << op.name;
        cell = op.outputs[o];
      }
    }
  }
  for (const graph::Loss& loss : g.losses) expect_intact(loss.sum, "the caller");
  for (const graph::Counter& counter : g.counters) expect_intact(counter.count, "the caller");
  for (const auto& [name, id] : g.outputs) expect_intact(id, "the caller");
}

/// The most bytes that must exist at once: what an op reads and will be read later, and what it writes, where results
/// in place and reshapes cost nothing more.
int64_t LargestLiveSet(const Graph& g, const std::vector<Lifetime>& lifetimes, const MemoryPlan& plan) {
  int64_t largest = 0;
  for (int i = 0; i <= static_cast<int>(g.ops.size()); ++i) {
    std::map<int64_t, int64_t> live;  // by offset: values that share a place count once
    for (size_t id = 0; id < lifetimes.size(); ++id) {
      if (lifetimes[id].first < 0 || lifetimes[id].first > i || lifetimes[id].last < i || plan.offset[id] < 0) continue;
      int64_t& bytes = live[plan.offset[id]];
      bytes = std::max(bytes, PaddedBytes(g.values[id]));
    }
    int64_t sum = 0;
    for (const auto& [offset, bytes] : live) sum += bytes;
    largest = std::max(largest, sum);
  }
  return largest;
}

TEST(PlanMemory, NoLiveValueIsOverwrittenInRandomGraphs) {
  int64_t planned = 0, needed = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Graph g = RemoveDeadOps(AddGradients(FuseActivations(RandomGraph(seed), true), {}));
    const std::vector<Lifetime> lifetimes = Liveness(g);
    const MemoryPlan plan = PlanMemory(g, lifetimes, Outside(g));
    ExpectReadsFindWhatWasWritten(g, plan, Outside(g));
    ASSERT_FALSE(::testing::Test::HasFatalFailure());

    int64_t sum = 0;
    for (size_t id = 0; id < g.values.size(); ++id) {
      if (plan.offset[id] < 0) continue;
      EXPECT_EQ(plan.offset[id] % static_cast<int64_t>(kValueAlignment), 0);
      EXPECT_LE(plan.offset[id] + PaddedBytes(g.values[id]), plan.bytes);
      sum += PaddedBytes(g.values[id]);
    }
    const int64_t least = LargestLiveSet(g, lifetimes, plan);
    EXPECT_GE(plan.bytes, least);
    EXPECT_LE(plan.bytes, sum);
    planned += plan.bytes;
    needed += least;
  }
  EXPECT_LE(static_cast<double>(planned), 1.1 * static_cast<double>(needed)) << "the planner wastes more than a tenth";
}

TEST(PlanMemory, OnlyComputedValuesHaveAPlace) {
  const Graph g = RemoveDeadOps(AddGradients(RandomGraph(7), {}));
  const std::set<ValueId> outside = Outside(g);
  const MemoryPlan plan = PlanMemory(g, Liveness(g), outside);
  for (size_t id = 0; id < g.values.size(); ++id) {
    if (g.values[id].role != graph::Role::kActivation || outside.contains(static_cast<ValueId>(id))) {
      EXPECT_EQ(plan.offset[id], -1) << g.values[id].name;
    }
  }
}

TEST(PlanMemory, AChainOfActivationsTakesOneBuffer) {
  Builder b(Mode::kEvaluate, 4);
  ValueId x = b.Linear(b.Input("features", {16}, DType::kF32), "fc", 16, true, {});
  for (int i = 0; i < 5; ++i) x = b.Activate(x, Activation::kTanh);
  b.Output("y", x);
  const Graph g = b.Finish();
  EXPECT_EQ(PlanMemory(g, Liveness(g), {}).bytes, 4 * 16 * 4);
}

TEST(PlanMemory, TheGradientOfLogitsLiesOverThem) {
  Builder b(Mode::kTrain, 4);
  b.SoftmaxCrossEntropy(b.Linear(b.Input("features", {6}, DType::kF32), "fc", 50, true, {}), 0);
  const Graph g = RemoveDeadOps(AddGradients(b.Finish(), {}));
  const MemoryPlan plan = PlanMemory(g, Liveness(g), Outside(g));
  const auto gradient = std::ranges::find(g.ops, graph::OpKind::kSoftmaxCrossEntropyGrad, &graph::Op::kind);
  ASSERT_NE(gradient, g.ops.end());
  EXPECT_EQ(plan.offset[static_cast<size_t>(gradient->outputs[0])],
            plan.offset[static_cast<size_t>(gradient->inputs[0])]);
}

TEST(PlanMemory, AValueThatIsReadLaterIsNotTakenOver) {
  Builder b(Mode::kEvaluate, 4);
  const ValueId x = b.Linear(b.Input("features", {16}, DType::kF32), "fc", 16, true, {});
  const ValueId y = b.Activate(x, Activation::kTanh);
  b.Output("x", b.Reshape(x, {64}));
  b.Output("y", y);
  const Graph g = b.Finish();
  const MemoryPlan plan = PlanMemory(g, Liveness(g), {});
  EXPECT_NE(plan.offset[static_cast<size_t>(x)], plan.offset[static_cast<size_t>(y)]);
  EXPECT_EQ(plan.offset[static_cast<size_t>(x)], plan.offset[static_cast<size_t>(g.outputs.at("x"))]);
}

TEST(PlanMemory, AnOpThatReadsAValueTwiceDoesNotWriteOverIt) {
  Builder b(Mode::kEvaluate, 4);
  const ValueId x = b.Linear(b.Input("features", {16}, DType::kF32), "fc", 16, true, {});
  const ValueId y = b.Add(x, x);
  b.Output("y", y);
  const Graph g = b.Finish();
  const MemoryPlan plan = PlanMemory(g, Liveness(g), {});
  EXPECT_NE(plan.offset[static_cast<size_t>(x)], plan.offset[static_cast<size_t>(y)]);
}

TEST(PlanMemory, AReshapedInputHasNoPlaceInTheArena) {
  Builder b(Mode::kEvaluate, 4);
  const ValueId x = b.Flatten(b.Input("image", {4, 4, 1}, DType::kF32));
  b.Output("y", b.Activate(x, Activation::kTanh));
  const Graph g = b.Finish();
  const MemoryPlan plan = PlanMemory(g, Liveness(g), {});
  EXPECT_EQ(plan.offset[static_cast<size_t>(x)], -1);
  EXPECT_EQ(plan.offset[static_cast<size_t>(g.outputs.at("y"))], 0) << "and is not written over";
  EXPECT_EQ(plan.bytes, 4 * 16 * 4);
}

}  // namespace
}  // namespace lockstep::passes

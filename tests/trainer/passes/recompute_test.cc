// Values computed again: gradients are the same expressions of inputs and parameters, in less memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "tests/trainer/passes/graph_text.h"
#include "tests/trainer/passes/random_graph.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Mode;
using graph::ValueId;

/// The number of the expression that each value is: two values of any graphs that share `numbers` are one expression
/// where the same kinds of ops with the same attributes make them from the same inputs and parameters.
class Expressions {
 public:
  std::vector<int> Of(const Graph& graph) {
    std::vector<int> numbers(graph.values.size(), -1);
    for (size_t id = 0; id < numbers.size(); ++id)
      if (graph.values[id].role != graph::Role::kActivation) numbers[id] = NumberOf(graph.values[id].name);
    for (const graph::Op& op : graph.ops) {
      std::string text = graph::Name(op.kind) + std::to_string(AttributesOf(op.attributes));
      for (ValueId id : op.inputs) {
        const int number = id == kNoValue ? -1 : numbers[static_cast<size_t>(id)];
        EXPECT_TRUE(id == kNoValue || number >= 0) << op.name << " reads " << ValueName(graph, id) << " too early";
        text += " " + std::to_string(number);
      }
      for (size_t i = 0; i < op.outputs.size(); ++i)
        if (op.outputs[i] != kNoValue)
          numbers[static_cast<size_t>(op.outputs[i])] = NumberOf(text + " output " + std::to_string(i));
    }
    return numbers;
  }

 private:
  int NumberOf(const std::string& text) {
    return numbers_.try_emplace(text, static_cast<int>(numbers_.size())).first->second;
  }
  size_t AttributesOf(const graph::Attributes& attributes) {
    const auto found = std::find(attributes_.begin(), attributes_.end(), attributes);
    if (found != attributes_.end()) return static_cast<size_t>(found - attributes_.begin());
    attributes_.push_back(attributes);
    return attributes_.size() - 1;
  }

  std::map<std::string, int> numbers_;
  std::vector<graph::Attributes> attributes_;
};

std::set<ValueId> Outside(const Graph& g) {
  std::set<ValueId> outside;
  for (const auto& [parameter, gradient] : g.gradients) outside.insert(gradient);
  for (const auto& update : g.statistic_updates) outside.insert(update.lane_value);
  return outside;
}

int64_t ArenaBytes(const Graph& g) { return PlanMemory(g, Liveness(g), Outside(g)).bytes; }

/// Compares the graph with activations kept and computed again; returns both arenas' bytes.
std::pair<int64_t, int64_t> ExpectTheSameResults(const Graph& forward) {
  const Graph training = AddGradients(forward, {});
  const Graph kept = RemoveDeadOps(training);
  const Graph again = RecomputeActivations(training, forward.ops.size(), Outside(training));
  Expressions expressions;
  const std::vector<int> of_kept = expressions.Of(kept), of_again = expressions.Of(again);
  const auto expect_same = [&](ValueId a, ValueId b) {
    EXPECT_EQ(of_kept[static_cast<size_t>(a)], of_again[static_cast<size_t>(b)]) << ValueName(kept, a);
  };
  EXPECT_EQ(kept.gradients.size(), again.gradients.size());
  for (const auto& [parameter, gradient] : kept.gradients) expect_same(gradient, again.gradients.at(parameter));
  for (size_t i = 0; i < kept.losses.size(); ++i) expect_same(kept.losses[i].sum, again.losses[i].sum);
  for (size_t i = 0; i < kept.statistic_updates.size(); ++i)
    expect_same(kept.statistic_updates[i].lane_value, again.statistic_updates[i].lane_value);
  for (const auto& [name, value] : kept.outputs) expect_same(value, again.outputs.at(name));
  return {ArenaBytes(kept), ArenaBytes(again)};
}

Graph Residuals(int blocks) {
  graph::Builder b(Mode::kTrain, 64);
  ValueId x = b.Input("features", {32}, DType::kF32);
  for (int i = 0; i < blocks; ++i) {
    const std::string name = "block" + std::to_string(i);
    ValueId y = b.Linear(b.LayerNorm(x, name + ".norm", 1e-5f), name + ".up", 128, true, {});
    y = b.Linear(b.Activate(y, graph::Activation::kGelu), name + ".down", 32, true, {});
    x = b.Add(x, b.Dropout(y, 0.1f));
  }
  b.SoftmaxCrossEntropy(b.Linear(x, "head", 10, true, {}), 0);
  return b.Finish();
}

TEST(Recompute, OfManyBlocksIsAlikeInMuchLessMemory) {
  const auto [kept, again] = ExpectTheSameResults(Residuals(24));
  // 24 blocks keep 24 x (2 x 32 + 2 x 128) floats a row and a little. At best every fifth block's 32 are kept, and one
  // part of five blocks.
  EXPECT_GT(kept, 24 * 64 * (2 * 32 + 2 * 128) * 4);
  EXPECT_LT(again, kept * 2 / 5);
}

TEST(Recompute, ComputesNothingThatIsKept) {
  const Graph forward = Residuals(24);
  const Graph training = AddGradients(forward, {});
  const Graph again = RecomputeActivations(training, forward.ops.size(), Outside(training));
  size_t repeated = 0;
  for (const graph::Op& op : again.ops) {
    repeated += op.name.ends_with("/again") ? 1 : 0;
    EXPECT_FALSE(op.name.ends_with("/again/again"));
    EXPECT_FALSE(op.name.starts_with("head") && op.name.ends_with("/again")) << "of the last part everything is kept";
  }
  EXPECT_GT(repeated, 0u);
  EXPECT_LT(repeated, forward.ops.size());
}

TEST(Recompute, OfAGraphThatItCanNotShrinkIsWithoutRepetition) {
  graph::Builder b(Mode::kTrain, 4);
  b.SoftmaxCrossEntropy(b.Linear(b.Input("features", {6}, DType::kF32), "fc", 3, true, {}), 0);
  const Graph forward = b.Finish();
  const Graph training = AddGradients(forward, {});
  const Graph again = RecomputeActivations(training, forward.ops.size(), Outside(training));
  EXPECT_EQ(OpTexts(again), OpTexts(RemoveDeadOps(training)));
}

TEST(Recompute, OfRandomGraphsIsAlike) {
  int smaller = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    const auto [kept, again] = ExpectTheSameResults(RandomGraph(seed));
    EXPECT_LE(again, kept);
    smaller += again < kept ? 1 : 0;
  }
  EXPECT_GT(smaller, 20);
}

}  // namespace
}  // namespace lockstep::passes

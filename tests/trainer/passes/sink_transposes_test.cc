#include <gtest/gtest.h>

#include <algorithm>

#include "base/philox.h"
#include "tests/trainer/passes/graph_text.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/strided.h"
#include "trainer/kernels/reference/reference.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::AxisBits;
using graph::Builder;
using graph::Graph;
using graph::Mode;
using graph::OpKind;
using graph::ReduceFunction;
using graph::ValueId;

/// Layers as an importer wraps them: everything between is NCHW.
struct Wrapped {
  Builder b{Mode::kEvaluate, 2};

  ValueId Turn(ValueId x, std::vector<int> order) { return b.Strided(x, graph::Transposed(b.shape(x), order)); }
  ValueId ToNhwc(ValueId x) { return Turn(x, {0, 2, 3, 1}); }
  ValueId ToNchw(ValueId x) { return Turn(x, {0, 3, 1, 2}); }

  ValueId Image(const Shape& shape) { return b.Input("image", shape, DType::kF32); }
  ValueId Conv(ValueId x, const std::string& name, int64_t out, int kernel) {
    graph::Conv2dLayer layer{.out = out};
    layer.kernel = kernel, layer.padding = kernel / 2;
    return ToNchw(b.Conv2d(ToNhwc(x), name, layer));
  }
  ValueId Norm(ValueId x, const std::string& name) { return ToNchw(b.BatchNorm(ToNhwc(x), name, 1e-5f, 0.1f, 1)); }
  ValueId Relu(ValueId x) { return b.Activate(x, Activation::kRelu); }
};

std::vector<const graph::Op*> Transposes(const Graph& graph) {
  std::vector<const graph::Op*> transposes;
  for (const graph::Op& op : graph.ops) {
    if (op.kind == OpKind::kStrided) transposes.push_back(&op);
  }
  return transposes;
}

size_t Count(const Graph& graph, OpKind kind) {
  return static_cast<size_t>(std::ranges::count(graph.ops, kind, &graph::Op::kind));
}

/// The pass leaves every output's elements as they are.
Graph SunkAlike(const Graph& forward) {
  const Graph sunk = RemoveDeadOps(SinkTransposes(forward));
  std::map<std::string, reference::Tensor> values;
  for (size_t id = 0; id < forward.values.size(); ++id) {
    const graph::Value& value = forward.values[id];
    if (value.role == graph::Role::kActivation || value.role == graph::Role::kStepBlock) continue;
    const RandomStream stream{3, 0, static_cast<uint32_t>(id), 0};
    reference::Tensor tensor{value.shape, {}, {}, 1};
    for (uint32_t i = 0; i < static_cast<uint32_t>(value.shape.size()); ++i) {
      tensor.data.push_back(0.1 + stream.Uniform(i));
    }
    values[value.name] = tensor;
  }
  const auto before = reference::RunGraph(forward, values, {}), after = reference::RunGraph(sunk, values, {});
  for (const auto& [name, id] : forward.outputs) {
    const auto& x = before[static_cast<size_t>(id)];
    const auto& y = after[static_cast<size_t>(sunk.outputs.at(name))];
    EXPECT_EQ(x.shape, y.shape) << name;
    EXPECT_EQ(x.data, y.data) << name;
  }
  return sunk;
}

TEST(SinkTransposes, PairsVanish) {
  Wrapped w;
  const ValueId x = w.Image({3, 4, 5});
  w.b.Output("y", w.Relu(w.ToNhwc(w.ToNchw(x))));
  const Graph sunk = SunkAlike(w.b.Finish());
  EXPECT_EQ(OpTexts(sunk), std::vector<std::string>{"activation(image) -> relu1"});
}

TEST(SinkTransposes, FunctionsOfElementsLetThemThroughWithWhatIsBroadcast) {
  Wrapped w;
  const ValueId x = w.ToNchw(w.Image({3, 4, 5})), channels = w.b.Parameter("w", {5, 1, 1}, {}, false);
  const ValueId gate = w.b.Unary(w.b.Binary(graph::BinaryFunction::kMultiply, x, channels),
                                 {graph::UnaryFunction::kHardSigmoid, 0.2f, 0.5f});
  const ValueId chosen = w.b.Where(w.b.Binary(graph::BinaryFunction::kGreater, x, 0.5f), gate, graph::kNoValue, {0, 3});
  w.b.Output("y", w.ToNhwc(w.b.Cast(chosen, DType::kF32)));
  const Graph sunk = SunkAlike(w.b.Finish());
  EXPECT_TRUE(Transposes(sunk).empty());
}

TEST(SinkTransposes, AResidualBlockHasOneInFrontAndOneBehind) {
  Wrapped w;
  ValueId x = w.Relu(w.Norm(w.Conv(w.Image({3, 6, 6}), "stem", 4, 3), "stem_norm"));
  ValueId y = w.Relu(w.Norm(w.Conv(x, "conv1", 4, 3), "norm1"));
  y = w.Norm(w.Conv(y, "conv2", 4, 3), "norm2");
  w.b.Output("y", w.Relu(w.b.Add(y, x)));
  const Graph sunk = SunkAlike(w.b.Finish());
  ASSERT_EQ(Transposes(sunk).size(), 2u);
  EXPECT_EQ(Transposes(sunk)[0], &sunk.ops.front());
  EXPECT_EQ(Transposes(sunk)[1], &sunk.ops.back());
  EXPECT_EQ(Count(FuseActivations(sunk, true), OpKind::kActivation), 0u) << "activations stand behind norms again";
}

TEST(SinkTransposes, AMeanOverTheImageLeavesNothingToTranspose) {
  for (const bool keep : {true, false}) {
    Wrapped w;
    const ValueId x = w.Relu(w.Conv(w.Image({3, 6, 6}), "conv", 4, 3));
    const ValueId mean = w.b.Reduce(x, ReduceFunction::kMean, AxisBits({2, 3}), keep);
    w.b.Output("y", w.b.Linear(w.b.Reshape(mean, {2, 4}), "fc", 3, true, {}));
    const Graph sunk = SunkAlike(w.b.Finish());
    ASSERT_EQ(Transposes(sunk).size(), 1u);
    EXPECT_EQ(Transposes(sunk)[0], &sunk.ops.front());
  }
}

TEST(SinkTransposes, SqueezeAndExcitationStaysNhwc) {
  Wrapped w;
  const ValueId x = w.Relu(w.Norm(w.Conv(w.Image({3, 6, 6}), "conv1", 8, 3), "norm"));
  ValueId s = w.b.Reduce(x, ReduceFunction::kMean, AxisBits({2, 3}), true);
  s = w.b.Activate(w.Conv(w.Relu(w.Conv(s, "squeeze", 2, 1)), "excite", 8, 1), Activation::kSigmoid);
  const ValueId scale = w.b.Parameter("scale", {8, 1, 1}, {}, false);
  ValueId y = w.b.Binary(graph::BinaryFunction::kMultiply, x, s);
  y = w.b.Binary(graph::BinaryFunction::kMultiply, w.b.Binary(graph::BinaryFunction::kAdd, y, x), scale);
  w.b.Output("y", w.Conv(y, "conv2", 4, 1));
  const Graph sunk = SunkAlike(w.b.Finish());
  ASSERT_EQ(Transposes(sunk).size(), 2u);
  EXPECT_EQ(Transposes(sunk)[0], &sunk.ops.front());
  EXPECT_EQ(Transposes(sunk)[1], &sunk.ops.back());
}

TEST(SinkTransposes, ConcatenationsSlicesAndPaddingFollowTheirDimension) {
  Wrapped w;
  const ValueId x = w.Conv(w.Image({3, 6, 6}), "conv1", 4, 3);
  const ValueId y = w.Conv(w.b.Concat({x, w.Relu(w.Conv(x, "conv2", 2, 3))}, 1), "conv3", 6, 1);
  const ValueId half = w.b.Strided(y, graph::Sliced(w.b.shape(y), 1, 1, 2, 3));
  graph::PadAttributes pad;
  pad.before = {0, 0, 1, 2}, pad.after = {0, 1, 0, -1};
  w.b.Output("y", w.Conv(w.b.Pad(half, pad), "conv4", 2, 1));
  const Graph sunk = SunkAlike(w.b.Finish());
  EXPECT_EQ(Transposes(sunk).size(), 3u) << "one in front, one behind, and the slice";
  for (const graph::Op& op : sunk.ops) {
    if (op.kind != OpKind::kConcat) continue;
    EXPECT_EQ(op.as<graph::ConcatAttributes>().axis, 3);
  }
}

TEST(SinkTransposes, OpsThatCareAboutTheOrderGetIt) {
  Wrapped w;
  const ValueId x = w.Conv(w.Image({3, 4, 4}), "conv", 4, 3);
  w.b.Output("rows", w.b.Linear(x, "fc", 5, true, {}));
  w.b.Output("y", w.Conv(w.Relu(x), "conv2", 4, 1));
  w.b.Output("x", x);
  const Graph sunk = SunkAlike(w.b.Finish());
  EXPECT_EQ(Transposes(sunk).size(), 3u) << "of the image, for fc, and of y";
}

TEST(SinkTransposes, OneTransposeForTwoReadersStaysOne) {
  Wrapped w;
  const ValueId x = w.ToNchw(w.Image({4, 4, 3}));
  const ValueId y = w.Relu(x);
  w.b.Output("a", w.b.Linear(x, "a", 5, true, {}));
  w.b.Output("b", w.b.Linear(y, "b", 5, true, {}));
  EXPECT_EQ(Transposes(SunkAlike(w.b.Finish())).size(), 1u);
}

TEST(SinkTransposes, AGraphWithoutTransposesStays) {
  Builder b(Mode::kTrain, 4);
  b.Output("y", b.Activate(b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, true, {}), Activation::kRelu));
  const Graph forward = b.Finish();
  EXPECT_EQ(OpTexts(SinkTransposes(forward)), OpTexts(forward));
}

}  // namespace
}  // namespace lockstep::passes

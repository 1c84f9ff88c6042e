#include <gtest/gtest.h>

#include "base/memory.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Builder;
using graph::Graph;
using graph::Mode;
using graph::ValueId;

constexpr int64_t kRows = 4, kWidth = 64, kAlignment = 16;

struct Case {
  int64_t classes = 301;
  bool bias = false, output = false;
};

/// A classifier's training graph.
Graph Train(const Case& c) {
  Builder b(Mode::kTrain, kRows);
  const ValueId logits = b.Linear(b.Input("features", {kWidth}, DType::kF32), "head", c.classes, c.bias, {});
  b.SoftmaxCrossEntropy(logits, 0);
  if (c.output) b.Output("logits", logits);
  return RemoveDeadOps(AddGradients(b.Finish(), {}));
}

/// By the ops that write them: the pitches of the first results.
std::map<std::string, int64_t> Pitches(const Graph& graph) {
  std::map<std::string, int64_t> pitches;
  for (const graph::Op& op : graph.ops)
    for (const ValueId id : op.outputs)
      if (id != graph::kNoValue && graph.value(id).pitch > 0) pitches[graph::Name(op.kind)] = graph.value(id).pitch;
  return pitches;
}

TEST(PadRows, LogitsOfAnOddNumberOfClassesAndTheirGradient) {
  const Graph padded = PadRows(Train({}), kAlignment);
  EXPECT_EQ(Pitches(padded), (std::map<std::string, int64_t>{{"linear", 304}, {"softmax_cross_entropy_grad", 304}}));
  for (const graph::Value& value : padded.values)
    if (value.pitch > 0) {
      EXPECT_EQ(value.shape, (Shape{kRows, 301})) << "what a row holds stays";
      EXPECT_EQ(value.bytes(), kRows * 304 * 4);
    }
}

TEST(PadRows, NothingThatOthersReadOrThatIsAlignedOrShort) {
  EXPECT_TRUE(Pitches(PadRows(Train({.output = true}), kAlignment)).empty()) << "a result is read by all";
  EXPECT_TRUE(Pitches(PadRows(Train({.bias = true}), kAlignment)).empty()) << "its gradient sums columns";
  EXPECT_TRUE(Pitches(PadRows(Train({.classes = 304}), kAlignment)).empty());
  EXPECT_TRUE(Pitches(PadRows(Train({.classes = 11}), kAlignment)).empty());
}

/// Images of bytes, convolved in `groups`, and read by a pool too where `pooled`.
Graph ConvolveBytes(int64_t channels, DType type, int groups, bool pooled) {
  Builder b(Mode::kTrain, kRows);
  const ValueId image = b.Input("image", {8, 8, channels}, DType::kF32);
  ValueId x = b.Flatten(b.Conv2d(image, "conv", {4, 3, 1, 1, groups, false, {0, 1}}));
  if (pooled) x = b.Concat(x, b.Flatten(b.MaxPool2d(image, 2, 2, 0)));
  b.SoftmaxCrossEntropy(b.Linear(x, "fc", 3, true, {}), 0);
  Graph graph = TakeBytes(b.Finish(), {"image", "inside", {.mean = {}, .deviation = {1, 1, 1, 1, 1, 1, 1, 1}}});
  if (type == DType::kBF16) graph = LowerPrecision(graph);
  return PadRows(RemoveDeadOps(AddGradients(graph, {})), kAlignment);
}

TEST(PadRows, ImagesThatAreConvolvedHaveZerosBehindTheirChannels) {
  const Graph padded = ConvolveBytes(3, DType::kBF16, 1, false);
  EXPECT_EQ(Pitches(padded), (std::map<std::string, int64_t>{{"pixels", 8}}));
  const graph::Value& image = padded.value(padded.Find("image/pixels"));
  EXPECT_EQ(image.shape, (Shape{kRows, 8, 8, 3}));
  EXPECT_EQ(image.bytes(), kRows * 8 * 8 * 8 * 2);
}

TEST(PadRows, NoImageThatOthersReadOrThatIsAlignedOrOfFloats) {
  EXPECT_TRUE(Pitches(ConvolveBytes(3, DType::kF32, 1, false)).empty());
  EXPECT_TRUE(Pitches(ConvolveBytes(8, DType::kBF16, 1, false)).empty());
  EXPECT_TRUE(Pitches(ConvolveBytes(4, DType::kBF16, 4, false)).empty()) << "each group has channels of its own";
  EXPECT_TRUE(Pitches(ConvolveBytes(3, DType::kBF16, 1, true)).empty()) << "pools know nothing of it";
}

TEST(PadRows, MemoryHoldsThePadding) {
  const auto plan_bytes = [](const Graph& graph) {
    std::set<ValueId> outside;
    for (const auto& [parameter, gradient] : graph.gradients) outside.insert(gradient);
    return PlanMemory(graph, Liveness(graph), outside).bytes;
  };
  const Graph plain = Train({.classes = 32 * 1024 + 1});
  // Of one value: the gradient lies over the logits, whose rows are as far apart. It ends at a multiple of
  // kValueAlignment.
  constexpr int64_t kPadding = kRows * 1023 * 4;
  const int64_t grown = plan_bytes(PadRows(plain, 4096)) - plan_bytes(plain);
  EXPECT_NEAR(static_cast<double>(grown), static_cast<double>(kPadding), static_cast<double>(kValueAlignment));
}

}  // namespace
}  // namespace lockstep::passes

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Builder;
using graph::Graph;
using graph::Mode;
using graph::OpKind;
using graph::ValueId;

const ByteInput kBytes{"image", "inside", {.scale = 0.5f, .mean = {1, 2, 3}, .deviation = {4, 5, 6}}};

/// Reads its images twice.
Graph Images(Mode mode) {
  Builder b(mode, 4);
  const ValueId image = b.Input("image", {6, 6, 3}, DType::kF32);
  const ValueId sum = b.Add(b.Conv2d(image, "conv", {3, 3, 1, 1, 1, false, {}}), image);
  b.SoftmaxCrossEntropy(b.Linear(b.Flatten(sum), "fc", 5, true, {}), 0);
  return b.Finish();
}

TEST(TakeBytes, TheFirstOpMakesOfThemWhatTheGraphReads) {
  const Graph forward = Images(Mode::kTrain), taking = TakeBytes(forward, kBytes);
  ASSERT_EQ(taking.ops.size(), forward.ops.size() + 1);
  const graph::Op &first = taking.ops.front();
  EXPECT_EQ(first.kind, OpKind::kPixels);
  EXPECT_EQ(first.as<graph::PixelsAttributes>(), kBytes.attributes);
  EXPECT_EQ(first.inputs, (std::vector<ValueId>{taking.Find("image"), taking.Find("inside")}));
  const graph::Value &image = taking.value(first.inputs[0]), &inside = taking.value(first.inputs[1]),
                     &pixels = taking.value(first.outputs[0]);
  EXPECT_EQ(image.dtype, DType::kU8);
  EXPECT_EQ(image.role, graph::Role::kInput);
  EXPECT_EQ(image.shape, (Shape{4, 6, 6, 3}));
  EXPECT_EQ(inside.dtype, DType::kI32);
  EXPECT_EQ(inside.role, graph::Role::kInput);
  EXPECT_EQ(inside.shape, (Shape{4, 4}));
  EXPECT_EQ(pixels.dtype, DType::kF32);
  EXPECT_EQ(pixels.role, graph::Role::kActivation);
  EXPECT_EQ(pixels.shape, image.shape);
  const ValueId before = forward.Find("image");
  for (size_t i = 0; i < forward.ops.size(); ++i) {
    const graph::Op &was = forward.ops[i], &is = taking.ops[i + 1];
    EXPECT_EQ(is.outputs, was.outputs);
    for (size_t k = 0; k < was.inputs.size(); ++k)
      EXPECT_EQ(is.inputs[k], was.inputs[k] == before ? first.outputs[0] : was.inputs[k]) << was.name;
  }
}

TEST(TakeBytes, InAProgramOfLowerPrecisionThePixelsAreRounded) {
  const Graph lowered = LowerPrecision(TakeBytes(Images(Mode::kEvaluate), kBytes));
  EXPECT_EQ(lowered.value(lowered.Find("image")).dtype, DType::kU8);
  EXPECT_EQ(lowered.value(lowered.ops.front().outputs[0]).dtype, DType::kBF16);
}

TEST(TakeBytes, NoGradientGoesThroughThem) {
  const Graph trained = RemoveDeadOps(AddGradients(TakeBytes(Images(Mode::kTrain), kBytes), {}));
  EXPECT_EQ(trained.gradients.size(), trained.parameters.size());
}

TEST(TakeBytes, AGraphWithoutThatInputStays) {
  const Graph forward = Images(Mode::kTrain);
  ByteInput other = kBytes;
  other.image = "picture";
  EXPECT_EQ(TakeBytes(forward, other).ops.size(), forward.ops.size());
}

}  // namespace
}  // namespace lockstep::passes

// Shapes of what detectors add: maps that are enlarged, and losses of their cells.
#include <gtest/gtest.h>

#include "tests/trainer/graph/operands.h"

namespace lockstep::graph {
namespace {

TEST(ResizeShapes, FollowHeightAndWidth) {
  Operands v;
  const ValueId x = v.Add({2, 5, 3, 4});
  EXPECT_EQ(v.Infer(OpKind::kResizeNearest, {x}, ResizeAttributes{10, 7, {}}), "f32 [2, 10, 7, 4]");
  EXPECT_EQ(v.Infer(OpKind::kResizeNearestGrad, {v.Add({2, 10, 7, 4})}, ResizeAttributes{10, 7, {2, 5, 3, 4}}),
            "f32 [2, 5, 3, 4]");
  ExpectMentions(v.Infer(OpKind::kResizeNearest, {x}, ResizeAttributes{10, 0, {}}), {"[2, 5, 3, 4]", "10 by 0"});
  ExpectMentions(v.Infer(OpKind::kResizeNearest, {v.Add({2, 5})}, ResizeAttributes{10, 7, {}}), {"[2, 5]", "images"});
  ExpectMentions(v.Infer(OpKind::kResizeNearestGrad, {v.Add({2, 9, 7, 4})}, ResizeAttributes{10, 7, {2, 5, 3, 4}}),
                 {"dy", "[2, 9, 7, 4]", "[2, 10, 7, 4]"});
}

TEST(DetectionShapes, FollowMapsOfCells) {
  Operands v;
  const ValueId logits = v.Add({2, 5, 6, 3}, DType::kBF16), target = v.Add({2, 5, 6, 3}), mask = v.Add({2});
  const ValueId label = v.Add({2, 5, 6}, DType::kI32), weight = v.Add({2, 5, 6}), sides = v.Add({2, 5, 6, 4});
  for (const ValueId wanted : {target, label}) {
    EXPECT_EQ(v.Infer(OpKind::kFocalLoss, {logits, wanted, mask}, FocalAttributes{}), "f64 []");
    EXPECT_EQ(v.Infer(OpKind::kFocalLossGrad, {logits, wanted, mask, v.StepBlock()}, FocalAttributes{}),
              "bf16 [2, 5, 6, 3]");
  }
  EXPECT_EQ(v.Infer(OpKind::kBoxLoss, {sides, sides, weight}, BoxLossAttributes{}), "f64 []");
  EXPECT_EQ(v.Infer(OpKind::kBoxLossGrad, {sides, sides, weight, v.StepBlock()}, BoxLossAttributes{}),
            "f32 [2, 5, 6, 4]");
}

TEST(DetectionShapes, CrossEntropyIsElementByElement) {
  Operands v;
  const ValueId logits = v.Add({2, 5}, DType::kBF16), target = v.Add({2, 5});
  EXPECT_EQ(v.Infer(OpKind::kSigmoidCrossEntropy, {logits, target, target}, LossAttributes{}), "f64 []");
  EXPECT_EQ(v.Infer(OpKind::kSigmoidCrossEntropyGrad, {logits, target, target, v.StepBlock()}, LossAttributes{}),
            "bf16 [2, 5]");
  ExpectMentions(v.Infer(OpKind::kSigmoidCrossEntropy, {logits, target, v.Add({2})}, LossAttributes{}),
                 {"weight", "[2]", "[2, 5]"});
}

TEST(DetectionShapes, RejectionsNameWhatDoesNotFit) {
  Operands v;
  const ValueId logits = v.Add({2, 5, 3}), mask = v.Add({2}), sides = v.Add({2, 5, 4}), weight = v.Add({2, 5});
  const auto focal = [&](ValueId target, ValueId of_rows, float clamp = 0) {
    return v.Infer(OpKind::kFocalLoss, {logits, target, of_rows}, FocalAttributes{.clamp = clamp});
  };
  ExpectMentions(focal(v.Add({2, 5, 2}), mask), {"target", "[2, 5, 2]", "[2, 5, 3]"});
  ExpectMentions(focal(v.Add({2, 5, 3}, DType::kI32), mask), {"label", "[2, 5, 3]", "[2, 5]"});
  ExpectMentions(focal(v.Add({2, 5, 3}, DType::kBF16), mask), {"target", "bf16", "f32"});
  ExpectMentions(focal(logits, v.Add({3})), {"mask", "[3]", "[2]"});
  ExpectMentions(focal(logits, mask, 0.5f), {"clamped at 0.5", "less than 0.5"});
  const auto boxes = [&](ValueId box_sides, ValueId target, ValueId of_cells) {
    return v.Infer(OpKind::kBoxLoss, {box_sides, target, of_cells}, BoxLossAttributes{});
  };
  ExpectMentions(boxes(logits, logits, weight), {"sides", "[2, 5, 3]", "4 sides"});
  ExpectMentions(boxes(sides, logits, weight), {"target", "[2, 5, 3]", "[2, 5, 4]"});
  ExpectMentions(boxes(sides, sides, mask), {"weight", "[2]", "[2, 5]"});
}

}  // namespace
}  // namespace lockstep::graph

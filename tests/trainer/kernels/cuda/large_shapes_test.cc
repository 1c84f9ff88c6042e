// Shapes that fill many blocks of the GPU backend's own kernels: reductions over hundreds of slices, rows that have a
// block to themselves, sums of thousands of blocks. Compared with the reference as all ops are.
#include <gtest/gtest.h>

#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

class LargeShapesTest : public testing::TestWithParam<DType> {
 protected:
  void Check(OpKind kind, const OpCase& op_case) {
    const double unit_roundoff = GetParam() == DType::kBF16 ? 0x1p-8 : 0x1p-24;
    const auto backend = cuda::MakeEmulatedBackend();
    for (const std::string& line : CheckOp(*backend, kind, op_case, unit_roundoff, GetParam())) {
      ADD_FAILURE() << graph::Name(kind) << ", " << op_case.name << ": " << line;
    }
  }
};

// Two columns: 128 rows side by side in a block, and over a hundred slices of rows. 136 columns: several tiles.
const std::vector<Shape> kMatrices = {{70001, 2}, {9001, 3}, {2100, 136}, {130, 1030}};

TEST_P(LargeShapesTest, BatchNorm) {
  for (const Shape& shape : kMatrices) {
    const Shape c = {shape[1]};
    Check(OpKind::kBatchNormTrain,
          {shape.ToString(), {F(shape).Scaled(1.5, 10), Weight(c), Weight(c)}, graph::NormAttributes{}});
    const auto forward = [](int output) { return ResultOf(OpKind::kBatchNormTrain, {1, 2, 6}, output); };
    Check(OpKind::kBatchNormGrad,
          {shape.ToString(),
           {F(shape), F(shape).Scaled(1.5, 1), Weight(c), forward(1), forward(3), forward(0), Hidden(Weight(c))},
           graph::NormAttributes{1e-5f, graph::Activation::kRelu}});
  }
}

TEST_P(LargeShapesTest, BatchNormKeepsTheVarianceFarFromZero) {
  const Operand x = F({5000, 4}).Scaled(1, 1000);
  Check(OpKind::kBatchNormTrain, {"mean 1000, deviation 1", {x, Weight({4}), Weight({4})}, graph::NormAttributes{}});
}

TEST_P(LargeShapesTest, LayerNormGrad) {
  for (const Shape& shape : kMatrices) {
    const auto forward = [](int output) { return ResultOf(OpKind::kLayerNorm, {1, 2, 2}, output); };
    Check(
        OpKind::kLayerNormGrad,
        {shape.ToString(), {F(shape), F(shape), Weight({shape[1]}), forward(1), forward(2)}, graph::NormAttributes{}});
  }
}

TEST_P(LargeShapesTest, BiasGradients) {
  for (const Shape& shape : kMatrices) {
    Check(OpKind::kLinearWeightGrad,
          {shape.ToString() + ", bias alone", {F(shape), F({shape[0], 1})}, graph::LinearAttributes{}, {0}});
  }
}

TEST_P(LargeShapesTest, Losses) {
  for (const Shape& shape : std::vector<Shape>{{40003, 2}, {9001, 8}, {300, 1029}, {5, 9000}}) {
    const Operand labels = Labels(shape[0], static_cast<int>(shape[1]));
    const graph::LossAttributes attributes{0.1f, 0};
    Check(OpKind::kSoftmaxCrossEntropy, {shape.ToString(), {F(shape), labels}, attributes});
    Check(
        OpKind::kSoftmaxCrossEntropyGrad,
        {shape.ToString(), {F(shape), labels, ResultOf(OpKind::kSoftmaxCrossEntropy, {0, 1}, 1), Step()}, attributes});
    Check(OpKind::kCountCorrect, {shape.ToString(), {Steps(shape), labels}, graph::NoAttributes{}});
    Check(OpKind::kMeanSquaredError, {shape.ToString(), {F(shape), F(shape), Mask({shape[0]})}, attributes});
  }
}

TEST_P(LargeShapesTest, Images) {
  const Shape images = {3, 33, 35, 40};
  Check(OpKind::kFlatten, {"flatten", {F(images)}, graph::NoAttributes{}});
  Check(OpKind::kGlobalAveragePool, {"global average", {F(images)}, graph::NoAttributes{}});
  Check(OpKind::kGlobalAveragePool, {"many channels", {F({2, 7, 7, 1032})}, graph::NoAttributes{}});
  Check(OpKind::kMaxPool2d, {"max", {Steps(images)}, graph::Pool2dAttributes{3, 2, 1, {}}});
}

INSTANTIATE_TEST_SUITE_P(Types, LargeShapesTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance

// Shapes that fill many blocks of the GPU backend's own kernels: reductions over hundreds of slices, rows that have a
// block to themselves, sums of thousands of blocks, tokens that take several blocks to sort. Compared with the
// reference as all ops are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/graph/op_table.h"

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
    const graph::NormAttributes relu{1e-5f, graph::Activation::kRelu};
    Check(OpKind::kBatchNormAddTrain,
          {shape.ToString(), {F(shape).Scaled(1.5, 1), F(shape), Weight(c), Weight(c)}, relu});
    const auto summed = [](int output) { return ResultOf(OpKind::kBatchNormAddTrain, {2, 8, 3, 7}, output); };
    Check(OpKind::kBatchNormAddGrad, {shape.ToString(),
                                      {F(shape), F(shape), F(shape).Scaled(1.5, 1), Weight(c), summed(1), summed(3),
                                       summed(0), Hidden(Weight(c)), Hidden(F(shape))},
                                      relu});
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
    const auto behind = [](int output) { return ResultOf(OpKind::kLayerNorm, {2, 3, 3}, output); };
    Check(OpKind::kAddLayerNormGrad, {shape.ToString(),
                                      {F(shape), F(shape), F(shape), Weight({shape[1]}), behind(1), behind(2)},
                                      graph::NormAttributes{}});
  }
}

TEST_P(LargeShapesTest, BiasGradients) {
  for (const Shape& shape : kMatrices) {
    Check(OpKind::kLinearWeightGrad,
          {shape.ToString() + ", bias alone", {F(shape), F({shape[0], 1})}, graph::LinearAttributes{}, {0}});
  }
}

TEST_P(LargeShapesTest, Losses) {
  for (const Shape& shape : std::vector<Shape>{{40003, 2}, {9001, 8}, {300, 1029}, {64, 515}, {5, 9000}}) {
    const Operand labels = Labels(shape[0], static_cast<int>(shape[1]));
    const graph::LossAttributes attributes{0.1f, 0};
    Check(OpKind::kSoftmaxCrossEntropy, {shape.ToString(), {F(shape), labels}, attributes});
    Check(
        OpKind::kSoftmaxCrossEntropyGrad,
        {shape.ToString(), {F(shape), labels, ResultOf(OpKind::kSoftmaxCrossEntropy, {0, 1}, 1), Step()}, attributes});
    Check(OpKind::kSoftmaxCrossEntropy, {shape.ToString() + ", ties", {Steps(shape), labels}, attributes});
    Check(OpKind::kSoftmaxCrossEntropyTrain, {shape.ToString(), {F(shape), labels, Step()}, attributes});
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

TEST_P(LargeShapesTest, RmsNorm) {
  for (const Shape& shape : kMatrices) {
    Check(OpKind::kRmsNormGrad, {shape.ToString(),
                                 {F(shape), F(shape), Weight({shape[1]}), ResultOf(OpKind::kRmsNorm, {1, 2}, 1)},
                                 graph::NormAttributes{}});
  }
}

// Ids of one, two and three digits of the sort; tokens of one block and of dozens.
TEST_P(LargeShapesTest, Embeddings) {
  struct Geometry {
    Shape id;
    int64_t entries, channels;
  };
  for (const auto& [id, entries, channels] :
       std::vector<Geometry>{{{7, 9973}, 3, 2}, {{40, 511}, 63, 8}, {{3, 2049}, 64, 40}, {{2, 2048}, 5000, 16}}) {
    const Shape position = {id[1] + 3, channels};
    graph::EmbeddingAttributes attributes{.scale = 0.7f, .table = {}, .position = {}};
    const std::string name = fmt::format("{} of {}", id.ToString(), entries);
    const Operand ids = Ids(id, static_cast<int>(entries));
    Check(OpKind::kEmbedding, {name, {ids, Weight({entries, channels}), Weight(position)}, attributes});
    attributes.table = {entries, channels};
    attributes.position = position;
    Check(OpKind::kEmbeddingGrad, {name, {F({id[0], id[1], channels}), ids}, attributes});
  }
}

struct AttentionGeometry {
  int64_t n, queries, memory;  ///< memory 0: none
  graph::AttentionAttributes attributes;
  int64_t size;
  bool lengths = false;
};

TEST_P(LargeShapesTest, Attention) {
  const std::vector<AttentionGeometry> geometries = {
      {1, 320, 0, {2, 2, true}, 64},         {2, 129, 0, {1, 1, true}, 128},      {3, 200, 0, {4, 2, true}, 20, true},
      {3, 65, 193, {2, 1, false}, 96, true}, {1, 2, 1025, {2, 2, false}, 64},     {1, 1025, 2, {1, 1, false}, 16},
      {2, 70, 90, {1, 1, false}, 264, true}, {4, 150, 0, {1, 1, false}, 32, true}};
  for (const AttentionGeometry& g : geometries) {
    const int64_t kv = 2 * g.attributes.kv_heads * g.size, width = g.attributes.heads * g.size;
    const Operand query = F({g.n, g.queries, g.memory > 0 ? width : width + kv});
    const Operand memory = g.memory > 0 ? F({g.n, g.memory, kv}) : Absent();
    const Operand length = g.lengths ? Lengths(g.n, static_cast<int>(g.memory > 0 ? g.memory : g.queries)) : Absent();
    const std::string name = fmt::format("{} by {}, heads of {}", g.queries, g.memory, g.size);
    Check(OpKind::kAttention, {name, {query, memory, length}, g.attributes});
    const auto forward = [](int output) { return ResultOf(OpKind::kAttention, {1, 2, 3}, output); };
    Check(OpKind::kAttentionGrad, {name,
                                   {F({g.n, g.queries, width}), query, memory, length, forward(0), forward(1)},
                                   g.attributes,
                                   g.memory > 0 ? std::vector<int>{} : std::vector{1}});
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LargeShapesTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance

// Ops of the GPU backend whose results are not all wanted (frozen parameters, an evaluation that needs no statistics),
// and what kernels do with labels that no class has.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

class UnwantedResultsTest : public testing::TestWithParam<DType> {
 protected:
  /// With each of the sets of results absent.
  void Check(OpKind kind, OpCase op_case, const std::vector<std::vector<int>>& unwanted) {
    const double unit_roundoff = GetParam() == DType::kBF16 ? 0x1p-8 : 0x1p-24;
    const auto backend = cuda::MakeEmulatedBackend();
    for (const std::vector<int>& absent : unwanted) {
      op_case.unwanted = absent;
      for (const std::string& line : CheckOp(*backend, kind, op_case, unit_roundoff, GetParam())) {
        ADD_FAILURE() << graph::Name(kind) << " without " << absent.size() << " results: " << line;
      }
    }
  }
};

TEST_P(UnwantedResultsTest, Norms) {
  const Operand x = F({50, 24}), c = Weight({24});
  Check(OpKind::kBatchNormTrain, {"", {x, c, c}, graph::NormAttributes{}}, {{1, 2, 3}, {2}, {3}});
  const auto batch = [](int output) { return ResultOf(OpKind::kBatchNormTrain, {1, 2, 2}, output); };
  Check(OpKind::kBatchNormGrad, {"", {x, x, c, batch(1), batch(3), Absent()}, graph::NormAttributes{}},
        {{0}, {1}, {2}, {1, 2}});
  const auto layer = [](int output) { return ResultOf(OpKind::kLayerNorm, {1, 2, 2}, output); };
  Check(OpKind::kLayerNormGrad, {"", {x, x, c, layer(1), layer(2)}, graph::NormAttributes{}}, {{0}, {1}, {2}, {1, 2}});
}

TEST_P(UnwantedResultsTest, DenseWeightGradients) {
  Check(OpKind::kLinearWeightGrad, {"", {F({30, 16}), F({30, 8})}, graph::LinearAttributes{}}, {{0}, {1}});
  const graph::Conv2dAttributes same{1, 1, 1, graph::Activation::kNone, {16, 8, 3, 3}};
  Check(OpKind::kConv2dWeightGrad, {"", {F({2, 5, 5, 16}), F({2, 5, 5, 8})}, same}, {{0}, {1}});
}

TEST_P(UnwantedResultsTest, Losses) {
  Check(OpKind::kSoftmaxCrossEntropy, {"", {F({20, 10}), Labels(20, 10)}, graph::LossAttributes{}},
        {{0}, {1}, {2}, {1, 2}});
}

TEST_P(UnwantedResultsTest, FusedOps) {
  const Operand x = F({50, 24}), c = Weight({24});
  Check(OpKind::kSoftmaxCrossEntropyTrain, {"", {F({20, 10}), Labels(20, 10), Step()}, graph::LossAttributes{}},
        {{1}, {2}, {1, 2}});
  const auto layer = [](int output) { return ResultOf(OpKind::kLayerNorm, {2, 3, 3}, output); };
  Check(OpKind::kAddLayerNorm, {"", {x, x, c, c}, graph::NormAttributes{}}, {{2, 3}});
  Check(OpKind::kAddLayerNormGrad, {"", {x, x, x, c, layer(1), layer(2)}, graph::NormAttributes{}},
        {{0}, {1}, {2}, {1, 2}});
  Check(OpKind::kAddRmsNormGrad, {"", {x, x, x, c, ResultOf(OpKind::kRmsNorm, {2, 3}, 1)}, graph::NormAttributes{}},
        {{0}, {1}});
  Check(OpKind::kBatchNormAddTrain, {"", {x, x, c, c}, graph::NormAttributes{}}, {{1, 2, 3}, {2}, {3}});
  const auto batch = [](int output) { return ResultOf(OpKind::kBatchNormTrain, {2, 3, 3}, output); };
  Check(OpKind::kBatchNormAddGrad, {"", {x, x, x, c, batch(1), batch(3), Absent(), Absent()}, graph::NormAttributes{}},
        {{0}, {1}, {2}, {1, 2}});
}

TEST_P(UnwantedResultsTest, RmsNorm) {
  const Operand x = F({50, 24}), c = Weight({24});
  Check(OpKind::kRmsNorm, {"", {x, c}, graph::NormAttributes{}}, {{1}});
  Check(OpKind::kRmsNormGrad, {"", {x, x, c, ResultOf(OpKind::kRmsNorm, {1, 2}, 1)}, graph::NormAttributes{}},
        {{0}, {1}});
}

TEST_P(UnwantedResultsTest, Embeddings) {
  const graph::EmbeddingAttributes attributes{.table = {30, 8}, .position = {9, 8}};
  Check(OpKind::kEmbeddingGrad, {"", {F({20, 7, 8}), Ids({20, 7}, 30)}, attributes}, {{0}, {1}});
}

TEST_P(UnwantedResultsTest, Attention) {
  const Operand query = F({2, 70, 32}), memory = F({2, 40, 64});
  const graph::AttentionAttributes attributes{2, 2, false};
  const auto forward = [](int output) { return ResultOf(OpKind::kAttention, {1, 2, 3}, output); };
  Check(OpKind::kAttention, {"", {query, memory, Absent()}, attributes}, {{1}});
  Check(OpKind::kAttentionGrad, {"", {query, query, memory, Absent(), forward(0), forward(1)}, attributes}, {{0}, {1}});
}

TEST_P(UnwantedResultsTest, ALabelThatNoClassHasMakesTheLossNotANumber) {
  const auto backend = cuda::MakeEmulatedBackend();
  const OpCase op_case{"labels up to 1000", {F({200, 10}), Labels(200, 1000)}, graph::LossAttributes{}};
  const Instance instance = MakeInstance(OpKind::kSoftmaxCrossEntropy, op_case, GetParam());
  OpRunner runner(*backend, instance, {});
  EXPECT_TRUE(std::isnan(Decode(DType::kF64, runner.Run()[0])[0]));
  OpCase training = op_case;
  training.operands.push_back(Step());
  const Instance fused = MakeInstance(OpKind::kSoftmaxCrossEntropyTrain, training, GetParam());
  EXPECT_TRUE(std::isnan(Decode(DType::kF64, OpRunner(*backend, fused, {}).Run()[1])[0]));
}

INSTANTIATE_TEST_SUITE_P(Types, UnwantedResultsTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance

// Kernels that the CPU backend chooses by shape and instruction set, where the conformance table's small shapes don't
// reach.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/machine/cpu_info.h"
#include "base/memory.h"
#include "base/threads.h"
#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/graph/op_table.h"
#include "trainer/kernels/onednn/column_weight_grad.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

Isa TestedIsa() {
  const char* isa = std::getenv("LOCKSTEP_TEST_ISA");
  return isa != nullptr && std::string(isa) == "avx2" ? std::min(Isa::kAvx2, DetectIsa()) : DetectIsa();
}

struct WeightGradShape {
  const char* name;
  int64_t n, size, in, out, kernel;
  int stride, padding;
  bool bias;
  int dilation = 1;
};

OpCase CaseOf(const WeightGradShape& s) {
  const int64_t y = graph::WindowOutput(s.size, s.kernel, s.stride, s.padding, s.dilation);
  const Shape weight = {s.out, s.in, s.kernel, s.kernel};
  return {s.name,
          {F({s.n, y, y, s.out}), F({s.n, s.size, s.size, s.in})},
          graph::Conv2dAttributes{.stride = s.stride, .padding = s.padding, .result = weight, .dilation = s.dilation},
          s.bias ? std::vector<int>{} : std::vector{1}};
}

class ColumnWeightGradTest : public testing::TestWithParam<int> {};

TEST_P(ColumnWeightGradTest, AgreesWithReferenceAtAnyAddress) {
  const int threads = GetParam();
  PrepareComputeThread(threads, "test");
  const auto backend = MakeOneDnnBackend({.lane_threads = threads, .isa = TestedIsa()});
  for (const WeightGradShape& shape : {WeightGradShape{"one block", 2, 9, 64, 8, 3, 2, 1, true},
                                       {"blocks of rows, the last one short", 3, 40, 64, 16, 3, 2, 1, false},
                                       {"no padding, a window of 25", 1, 21, 64, 5, 5, 2, 0, true},
                                       {"dilation 3", 2, 11, 64, 8, 3, 2, 3, true, 3},
                                       {"dilation beyond the image", 2, 3, 64, 8, 3, 2, 5, true, 4},
                                       {"padding beyond the image", 2, 2, 512, 512, 3, 1, 1, true},
                                       {"one pixel", 1, 1, 512, 512, 3, 1, 1, false}}) {
    const OpCase op_case = CaseOf(shape);
    const Instance instance = MakeInstance(OpKind::kConv2dWeightGrad, op_case);
    ASSERT_TRUE(onednn::UsesColumnWeightGrad({instance.graph, instance.op(), threads})) << shape.name;
    std::string wrong;
    for (const std::string& line : CheckOp(*backend, OpKind::kConv2dWeightGrad, op_case, 0x1p-24)) wrong += line + "\n";
    EXPECT_EQ(wrong, "") << shape.name;
  }
}

class LargeLinearTest : public testing::TestWithParam<int> {};

/// Of a size from which on the weight gradient packs x; and with packed weights the others have the bits of plain ones.
TEST_P(LargeLinearTest, AgreesWithReferenceAtAnyAddress) {
  const int threads = GetParam();
  PrepareComputeThread(threads, "test");
  const auto backend = MakeOneDnnBackend({.lane_threads = threads, .isa = TestedIsa()});
  constexpr int64_t kRows = 257, kIn = 1152, kOut = 387;
  const graph::LinearAttributes none{};
  const std::pair<OpKind, OpCase> cases[] = {
      {OpKind::kLinear, {"forward", {F({kRows, kOut}), Weight({kIn, kOut}), Weight({kIn})}, none}},
      {OpKind::kLinearInputGrad, {"input gradient", {F({kRows, kOut}), Weight({kOut, kIn})}, none}},
      {OpKind::kLinearWeightGrad, {"weight gradient", {F({kRows, kOut}), F({kRows, kIn})}, none}}};
  for (const auto& [kind, op_case] : cases) {
    std::string wrong;
    for (const std::string& line : CheckOp(*backend, kind, op_case, 0x1p-24)) wrong += line + "\n";
    EXPECT_EQ(wrong, "") << op_case.name;
  }
}

/// How many lanes a rank has decides whether weights are packed, and must not decide bits.
TEST_P(LargeLinearTest, PackedProductsHaveTheBitsOfPlainOnes) {
  const int threads = GetParam();
  PrepareComputeThread(threads, "test");
  const auto backend = MakeOneDnnBackend({.lane_threads = threads, .isa = TestedIsa()});  // caps the instruction set
  const onednn::ScopedTeam team(threads);
  std::mt19937 random(1);
  const auto drawn = [&](double most) {
    return static_cast<int64_t>(std::exp(std::uniform_real_distribution(0.0, std::log(most))(random)));
  };
  for (int round = 0; round < 60; ++round) {
    onednn::ProductShape shape{.m = drawn(600), .k = drawn(4000), .n = drawn(2000)};
    if (round == 0) shape = {.m = 7, .k = 50257, .n = 96};
    shape.b_transposed = round % 2 == 1, shape.bias = round % 3 == 0, shape.relu = round % 5 == 0;
    SCOPED_TRACE(fmt::format("{} x {} x {}", shape.m, shape.k, shape.n));
    onednn::ProductShape packed_shape = shape;
    packed_shape.b_packed = true;
    const onednn::Product plain(shape), packed(packed_shape);
    if (packed.PackedBytes() == 0) continue;
    const auto numbers = [&](int64_t count) {
      std::vector<float> values(static_cast<size_t>(count));
      for (float& value : values) value = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f;
      return values;
    };
    const std::vector<float> a = numbers(shape.m * shape.k), b = numbers(shape.k * shape.n), bias = numbers(shape.n);
    const float* bias_data = shape.bias ? bias.data() : nullptr;
    Buffer copy(packed.PackedBytes()), scratchpad(std::max(plain.ScratchpadBytes(), packed.ScratchpadBytes()) + 1);
    std::vector<float> expected(static_cast<size_t>(shape.m * shape.n)), found(expected.size());
    packed.PreparePack(b.data(), copy.data()).Run();
    plain.Prepare(a.data(), b.data(), bias_data, expected.data(), scratchpad.data()).Run();
    packed.Prepare(a.data(), copy.data(), bias_data, found.data(), scratchpad.data()).Run();
    EXPECT_TRUE(expected == found);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, LargeLinearTest, testing::Values(1, 2));
INSTANTIATE_TEST_SUITE_P(Threads, ColumnWeightGradTest, testing::Values(1, 2));

}  // namespace
}  // namespace lockstep::conformance

// Kernels that the CPU backend chooses by shape and instruction set, where the conformance table's small shapes don't
// reach.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/threads.h"
#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/kernels/onednn/column_weight_grad.h"
#include "trainer/kernels/onednn/onednn_backend.h"

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
};

OpCase CaseOf(const WeightGradShape& s) {
  const int64_t y = (s.size + 2 * s.padding - s.kernel) / s.stride + 1;
  const Shape weight = {s.out, s.in, s.kernel, s.kernel};
  return {s.name,
          {F({s.n, y, y, s.out}), F({s.n, s.size, s.size, s.in})},
          graph::Conv2dAttributes{.stride = s.stride, .padding = s.padding, .result = weight},
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

INSTANTIATE_TEST_SUITE_P(Threads, LargeLinearTest, testing::Values(1, 2));
INSTANTIATE_TEST_SUITE_P(Threads, ColumnWeightGradTest, testing::Values(1, 2));

}  // namespace
}  // namespace lockstep::conformance

// That the graphs of attention which cuDNN is given, with the addresses it is given, say what the reference says. The
// graphs are computed here, operation by operation: no GPU, and no engine, has a part in it.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/bfloat16.h"
#include "base/files/file.h"
#include "tests/trainer/kernels/cuda/plans/cudnn_recording.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/kernels/cuda/dense/cudnn_attention.h"

namespace lockstep::cuda {
namespace {

using conformance::F;
using conformance::Instance;
using conformance::OpCase;
using graph::OpKind;
using reference::Tensor;
using Direction = AttentionSpec::Direction;

CudnnAttention Library() {
  return CudnnAttention(CudnnDevice(ReadWholeFile(FileSystem::Real(), fmt::format("{}/h100.json", LOCKSTEP_DEVICES))));
}

std::vector<BFloat16> Rounded(const Tensor& tensor) {
  std::vector<BFloat16> rounded;
  for (const double value : tensor.data) rounded.push_back(BFloat16::From(static_cast<float>(value)));
  return rounded;
}
std::vector<float> Floats(const Tensor& tensor) { return {tensor.data.begin(), tensor.data.end()}; }

/// Roundings to bf16, of what results are made of and of themselves, leave this much of the greatest element.
void ExpectClose(const std::vector<double>& actual, const Tensor& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.data.size());
  double largest = 0;
  for (const double value : expected.data) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected.data[i], largest * 0x1p-6) << what << " at " << i;
}
template <typename T>
std::vector<double> Doubles(const std::vector<T>& values) {
  std::vector<double> doubles;
  for (const T& value : values) doubles.push_back(static_cast<float>(value.Float()));
  return doubles;
}

class AttentionGraphs : public testing::TestWithParam<bool> {
 protected:
  static constexpr int64_t kRows = 2, kPlaces = 5, kHeads = 3, kHeadSize = 8;

  AttentionSpec Spec(Direction direction) const {
    return {.direction = direction,
            .rows = kRows,
            .positions = kPlaces,
            .heads = kHeads,
            .head_size = kHeadSize,
            .causal = GetParam()};
  }
  graph::AttentionAttributes Attributes() const { return {.heads = kHeads, .kv_heads = kHeads, .causal = GetParam()}; }

  /// Runs what `library` would run, from the graph that it plans.
  void Compute(CudnnAttention& library, Direction direction, AttentionOperands operands) {
    const CudnnRecording recording;
    ASSERT_TRUE(library.Supports(Spec(direction)));
    std::vector<std::byte> workspace(library.WorkspaceBytes(Spec(direction)));
    operands.workspace = workspace.data();
    library.Bindings(Spec(direction), operands);
    // Supports plans its direction first.
    const auto graphs = recording.With(CUDNN_ATTR_OPERATIONGRAPH_OPS),
               packs = recording.With(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    ASSERT_EQ(graphs.size(), 2u);
    ASSERT_EQ(packs.size(), 1u);
    ComputeGraph(graphs.front(), packs.front());
  }
};

TEST_P(AttentionGraphs, SayWhatAttentionIs) {
  const OpCase op_case{"attention",
                       {F({kRows, kPlaces, 3 * kHeads * kHeadSize}), conformance::Absent(), conformance::Absent()},
                       Attributes()};
  const Instance instance = conformance::MakeInstance(OpKind::kAttention, op_case, DType::kBF16);
  const std::vector<Tensor> expected = conformance::Expected(instance);
  const std::vector<BFloat16> query = Rounded(instance.inputs[0]);
  std::vector<BFloat16> y(expected[0].data.size());
  std::vector<float> lse(expected[1].data.size());
  CudnnAttention library = Library();
  Compute(library, Direction::kForward, {.query = query.data(), .y = y.data(), .lse = lse.data()});
  ExpectClose(Doubles(y), expected[0], "y");
  ExpectClose({lse.begin(), lse.end()}, expected[1], "lse");
}

TEST_P(AttentionGraphs, SayWhatItsGradientIs) {
  const auto forward = [](int output) { return conformance::ResultOf(OpKind::kAttention, {1, 2, 3}, output); };
  const OpCase op_case{"gradient",
                       {F({kRows, kPlaces, kHeads * kHeadSize}), F({kRows, kPlaces, 3 * kHeads * kHeadSize}),
                        conformance::Absent(), conformance::Absent(), forward(0), forward(1)},
                       Attributes(),
                       {1}};
  const Instance instance = conformance::MakeInstance(OpKind::kAttentionGrad, op_case, DType::kBF16);
  const Tensor expected = conformance::Expected(instance)[0];
  const std::vector<BFloat16> dy = Rounded(instance.inputs[0]), query = Rounded(instance.inputs[1]);
  std::vector<BFloat16> y = Rounded(instance.inputs[4]), dquery(expected.data.size());
  std::vector<float> lse = Floats(instance.inputs[5]);
  CudnnAttention library = Library();
  Compute(library, Direction::kGradient,
          {.query = query.data(), .y = y.data(), .lse = lse.data(), .dy = dy.data(), .dquery = dquery.data()});
  ExpectClose(Doubles(dquery), expected, "dquery");
}

INSTANTIATE_TEST_SUITE_P(, AttentionGraphs, testing::Bool(),
                         [](const auto& test) { return test.param ? "causal" : "unmasked"; });

// 64 rows are too many for one gradient: each part has its rows of every operand, and all share the workspace behind
// what they have by row.
TEST(AttentionParts, HaveTheirRowsOfEveryOperand) {
  constexpr int64_t kPlaces = 1024, kHeads = 12, kHeadSize = 64, kRows = 64, kPart = 16;
  const AttentionSpec spec{.direction = Direction::kGradient,
                           .rows = kRows,
                           .positions = kPlaces,
                           .heads = kHeads,
                           .head_size = kHeadSize,
                           .causal = true};
  CudnnAttention library = Library();
  ASSERT_TRUE(library.Supports(spec));
  const CudnnRecording recording;
  std::byte* const base = nullptr;
  constexpr int64_t kApart = int64_t{1} << 40;
  const auto at = [&](int64_t i) {
    return reinterpret_cast<std::byte*>(reinterpret_cast<intptr_t>(base) + i * kApart);
  };
  library.Bindings(spec, {.query = at(1),
                          .y = at(2),
                          .lse = reinterpret_cast<float*>(at(3)),
                          .dy = at(4),
                          .dquery = at(5),
                          .workspace = at(6)});
  const auto packs = recording.With(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  ASSERT_EQ(packs.size(), size_t{kRows / kPart});
  constexpr int64_t kHeadBytes = kHeads * kHeadSize * 2, kStatistic = kHeads * kPlaces * 4;
  for (size_t i = 0; i < packs.size(); ++i) {
    std::vector<int64_t> device;  // the others are the host's, far above
    for (const int64_t address : packs[i].numbers.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))
      if (address / kApart <= 6) device.push_back(address);
    std::ranges::sort(device);
    const int64_t row = static_cast<int64_t>(i) * kPart, cells = row * kPlaces * kHeadBytes;
    const std::vector<int64_t> expected = {
        kApart + 3 * cells,           kApart + 3 * cells + kHeadBytes,     kApart + 3 * cells + 2 * kHeadBytes,
        2 * kApart + cells,           3 * kApart + row * kStatistic,       4 * kApart + cells,
        5 * kApart + 3 * cells,       5 * kApart + 3 * cells + kHeadBytes, 5 * kApart + 3 * cells + 2 * kHeadBytes,
        6 * kApart + row * kStatistic};
    EXPECT_EQ(device, expected) << "part " << i;
    EXPECT_EQ(packs[i].Number(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), 6 * kApart + kRows * kStatistic);
  }
}

}  // namespace
}  // namespace lockstep::cuda

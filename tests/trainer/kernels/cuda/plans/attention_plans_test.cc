// What can be known of cuDNN's attention without a GPU, as cuda_plans_test.cc has it of convolutions; and which
// attention goes to the library at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "tests/trainer/kernels/families.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/cuda/dense/cudnn_attention.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using conformance::Instance;
using conformance::OpCase;
using graph::AttentionAttributes;
using graph::OpKind;
using testing::HasSubstr;
using testing::IsEmpty;
using Direction = AttentionSpec::Direction;

constexpr std::array kDirections = {Direction::kForward, Direction::kGradient};

CudnnAttention LibraryFor(const std::string& device) {
  return CudnnAttention(
      CudnnDevice(ReadWholeFile(FileSystem::Real(), fmt::format("{}/{}.json", LOCKSTEP_DEVICES, device))));
}

AttentionSpec Spec(int64_t rows, int64_t places, int64_t heads, int64_t head_size, bool causal = true) {
  return {.rows = rows, .positions = places, .heads = heads, .head_size = head_size, .causal = causal};
}
AttentionSpec Of(AttentionSpec spec, Direction direction) {
  spec.direction = direction;
  return spec;
}

TEST(AttentionPlans, ExistForUnusualShapesAndNeedNoMoreThanWhatIsPlannedWithoutADevice) {
  CudnnAttention library = LibraryFor("h100");
  for (const AttentionSpec& spec : {Spec(1, 1, 1, 8), Spec(3, 65, 5, 40, false), Spec(2, 129, 1, 128)}) {
    for (const Direction direction : kDirections) {
      ASSERT_TRUE(library.Supports(Of(spec, direction))) << spec.ToString();
      EXPECT_LE(library.WorkspaceBytes(Of(spec, direction)), AttentionWorkspaceBound(Of(spec, direction)))
          << spec.ToString();
    }
  }
}

TEST(AttentionPlans, AreTheSameEveryTime) {
  const AttentionSpec spec = Spec(2, 33, 2, 16);
  CudnnAttention first = LibraryFor("h100"), second = LibraryFor("h100");
  for (const Direction direction : kDirections) {
    EXPECT_EQ(first.Describe(Of(spec, direction)), second.Describe(Of(spec, direction)));
    EXPECT_EQ(first.WorkspaceBytes(Of(spec, direction)), second.WorkspaceBytes(Of(spec, direction)));
  }
}

// A gradient whose workspace has no room for them adds to dquery without an order, and cuDNN does not say so.
TEST(AttentionPlans, KeepTheGradientOfEveryScore) {
  CudnnAttention library = LibraryFor("h200");
  for (const bool causal : {false, true}) {
    const AttentionSpec spec = Of(Spec(2, 1024, 12, 64, causal), Direction::kGradient);
    ASSERT_TRUE(library.Supports(spec));
    EXPECT_GE(library.WorkspaceBytes(spec), size_t{2} * 12 * 1024 * 1024 * 2);
  }
}

TEST(AttentionPlans, TakeTheRowsOfAGradientInPartsThatFitTheWorkspace) {
  EXPECT_EQ(GradientRows(Spec(8, 1024, 12, 64)), 8);
  EXPECT_EQ(GradientRows(Spec(64, 1024, 12, 64)), 16);  // 24 MiB each
  EXPECT_EQ(GradientRows(Spec(23, 1024, 12, 64)), 1);
  EXPECT_EQ(GradientRows(Spec(1, 8192, 12, 64)), 0);
  CudnnAttention library = LibraryFor("h100");
  const AttentionSpec spec = Of(Spec(64, 1024, 12, 64), Direction::kGradient);
  EXPECT_THAT(library.Describe(spec), HasSubstr("16 rows at once"));
  EXPECT_LE(library.WorkspaceBytes(spec), kAttentionWorkspaceLimit);
  // Forward only where a grid could not hold all heads.
  EXPECT_THAT(library.Describe(Of(spec, Direction::kForward)), HasSubstr("64 rows at once"));
  EXPECT_THAT(library.Describe(Spec(70000, 64, 2, 8)), HasSubstr("7000 rows at once"));
}

// An op and its gradient belong together: where one direction has no plan, neither is the library's.
TEST(AttentionPlans, AreMissingForBothDirectionsOrNone) {
  CudnnAttention library = LibraryFor("h100");
  AttentionSpec floats = Spec(2, 16, 2, 8);
  floats.type = DType::kF32;
  for (const AttentionSpec& spec : {Spec(2, 16, 2, 20), Spec(1, 8192, 12, 64), floats}) {
    for (const Direction direction : kDirections)
      EXPECT_FALSE(library.Supports(Of(spec, direction))) << spec.ToString();
  }
}

/// Has all attention, or none, and remembers what it is asked for.
class Watched final : public DenseLibrary, public AttentionLibrary {
 public:
  explicit Watched(bool has_all) : has_all_(has_all) {}
  AttentionLibrary* attention() override { return this; }
  bool Supports(const AttentionSpec& spec) override {
    asked.push_back(spec);
    return has_all_;
  }
  size_t WorkspaceBytes(const AttentionSpec&) override { return kBytes; }
  std::unique_ptr<engine::Kernel> Prepare(const AttentionSpec&, const AttentionOperands&, DeviceStream&) override {
    return nullptr;
  }

  bool Supports(const MatmulSpec&) override { return false; }
  size_t WorkspaceBytes(const MatmulSpec&) override { return 0; }
  size_t WorkspaceBytes(const ConvolutionSpec&) override { return 0; }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec&, const MatmulOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec&, const ConvolutionOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::string version() const override { return "watched"; }

  static constexpr size_t kBytes = 12345;
  std::vector<AttentionSpec> asked;

 private:
  const bool has_all_;
};

size_t WorkspaceOf(OpKind kind, const OpCase& op_case, DType type, DenseLibrary& library) {
  const Instance instance = conformance::MakeInstance(kind, op_case, type);
  const auto rows = graph::CollectRows<KernelRow>("attention", {AttentionRows(), AttentionGradRows()});
  return rows.Find(kind)->workspace_bytes({{instance.graph, instance.op()}, library});
}

/// Every case of the conformance table, forward and backward.
template <typename Visit>
void ForEachCase(Visit&& visit) {
  for (const OpCase& op_case : conformance::AttentionCases()) visit(OpKind::kAttention, op_case, size_t{0});
  for (const OpCase& op_case : conformance::AttentionGradCases()) visit(OpKind::kAttentionGrad, op_case, size_t{1});
}

TEST(AttentionOps, GoToTheLibraryInBf16WithoutMemoryLengthsAndSharedKeys) {
  int taken = 0;
  ForEachCase([&](OpKind kind, const OpCase& op_case, size_t query) {
    Watched library(true);
    const size_t bytes = WorkspaceOf(kind, op_case, DType::kBF16, library);
    const auto& attributes = std::get<AttentionAttributes>(op_case.attributes);
    const bool plain = op_case.operands[query + 1].fill == conformance::Fill::kAbsent &&
                       op_case.operands[query + 2].fill == conformance::Fill::kAbsent &&
                       attributes.heads == attributes.kv_heads;
    if (!plain) {
      EXPECT_THAT(library.asked, IsEmpty()) << op_case.name;
      EXPECT_NE(bytes, Watched::kBytes) << op_case.name;
      return;
    }
    ++taken;
    const Shape& shape = op_case.operands[query].shape;
    AttentionSpec expected{.rows = shape.dim(0),
                           .positions = shape.dim(1),
                           .heads = attributes.heads,
                           .head_size = shape.dim(2) / (3 * attributes.heads),
                           .causal = attributes.causal};
    expected.direction = kind == OpKind::kAttention ? Direction::kForward : Direction::kGradient;
    EXPECT_THAT(library.asked, testing::ElementsAre(expected)) << op_case.name;
    EXPECT_EQ(bytes, Watched::kBytes) << op_case.name;
  });
  EXPECT_GT(taken, 20);
}

TEST(AttentionOps, AreOursInFloatAndWhereTheLibraryHasNone) {
  ForEachCase([&](OpKind kind, const OpCase& op_case, size_t) {
    Watched all(true), none(false);
    EXPECT_EQ(WorkspaceOf(kind, op_case, DType::kF32, all), WorkspaceOf(kind, op_case, DType::kBF16, none));
    EXPECT_THAT(all.asked, IsEmpty());
  });
}

// What a plan without a device takes for granted is never less than what a device takes.
TEST(AttentionOps, ArePlannedWithRoomForEitherWay) {
  const auto planned = MakePlanningLibrary();
  ForEachCase([&](OpKind kind, const OpCase& op_case, size_t) {
    Watched none(false);
    EXPECT_GE(WorkspaceOf(kind, op_case, DType::kBF16, *planned), WorkspaceOf(kind, op_case, DType::kBF16, none));
  });
}

}  // namespace
}  // namespace lockstep::cuda

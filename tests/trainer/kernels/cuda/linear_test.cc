// What linear layers ask of the library of matrix products: the bias's gradient comes with the weight's where the
// library can do that, and from a kernel of ours elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/cuda/loop_library.h"
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using cuda::MatmulSpec;
using graph::OpKind;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

/// Loops that tell which products they were prepared for; with sums in products or without.
class LibraryUnderWatch final : public cuda::DenseLibrary {
 public:
  LibraryUnderWatch(bool sums, std::vector<MatmulSpec>& prepared) : sums_(sums), prepared_(prepared) {}

  bool Supports(const MatmulSpec& spec) override { return sums_ || !spec.a_sums; }
  size_t WorkspaceBytes(const MatmulSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  size_t WorkspaceBytes(const cuda::ConvolutionSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const cuda::MatmulOperands& operands,
                                          DeviceStream& stream) override {
    prepared_.push_back(spec);
    return loops_->Prepare(spec, operands, stream);
  }
  std::unique_ptr<engine::Kernel> Prepare(const cuda::ConvolutionSpec& spec, const cuda::ConvolutionOperands& operands,
                                          DeviceStream& stream) override {
    return loops_->Prepare(spec, operands, stream);
  }
  std::string version() const override { return "under watch"; }

 private:
  const bool sums_;
  std::vector<MatmulSpec>& prepared_;
  const std::unique_ptr<cuda::DenseLibrary> loops_ = cuda::MakeLoopLibrary();
};

class LinearTest : public testing::TestWithParam<DType> {
 protected:
  std::unique_ptr<engine::Backend> BackendWith(bool sums) {
    return cuda::MakeEmulatedBackend(std::make_unique<LibraryUnderWatch>(sums, prepared_));
  }
  /// A weight gradient without the results `unwanted`; the products that were prepared for it, in prepared_.
  void PrepareWeightGrad(bool sums, std::vector<int> unwanted) {
    prepared_.clear();
    const OpCase op_case{"", {F({30, 16}), F({30, 8})}, graph::LinearAttributes{}, std::move(unwanted)};
    const Instance instance = MakeInstance(OpKind::kLinearWeightGrad, op_case, GetParam());
    const auto backend = BackendWith(sums);
    OpRunner(*backend, instance, {}).Run();
  }

  std::vector<MatmulSpec> prepared_;
};

TEST_P(LinearTest, BiasGradientsComeWithTheWeightsWhereTheLibraryCan) {
  const auto sums = [](bool expected) { return Field(&MatmulSpec::a_sums, expected); };
  PrepareWeightGrad(true, {});
  EXPECT_THAT(prepared_, ElementsAre(sums(true)));
  PrepareWeightGrad(false, {});
  EXPECT_THAT(prepared_, ElementsAre(sums(false)));
  PrepareWeightGrad(true, {1});
  EXPECT_THAT(prepared_, ElementsAre(sums(false)));
  PrepareWeightGrad(true, {0});
  EXPECT_THAT(prepared_, IsEmpty());
}

TEST_P(LinearTest, GradientsAreRightWhereTheLibraryHasNoSums) {
  const double unit_roundoff = GetParam() == DType::kBF16 ? 0x1p-8 : 0x1p-24;
  const auto backend = BackendWith(false);
  for (const OpCase& op_case : LinearWeightGradCases()) {
    for (const std::string& line : CheckOp(*backend, OpKind::kLinearWeightGrad, op_case, unit_roundoff, GetParam())) {
      ADD_FAILURE() << op_case.name << ": " << line;
    }
  }
}

// What a plan without a device takes for granted is never less than what a device takes.
TEST_P(LinearTest, PlansHaveRoomForEitherWay) {
  const OpCase op_case{"", {F({3000, 16}), F({3000, 8})}, graph::LinearAttributes{}};
  const Instance instance = MakeInstance(OpKind::kLinearWeightGrad, op_case, GetParam());
  const auto planned = cuda::MakeEmulatedBackend(cuda::MakePlanningLibrary());
  for (const bool sums : {false, true}) {
    EXPECT_GE(planned->WorkspaceBytes(instance.graph, instance.op()),
              BackendWith(sums)->WorkspaceBytes(instance.graph, instance.op()));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LinearTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance

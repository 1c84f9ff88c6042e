// What linear layers ask of the library of matrix products: bias and relu come with the product, and the bias's
// gradient with the weight's, where the library can do that and the card is busy, and from a kernel of ours elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/error.h"
#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/cuda/loop_library.h"
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using cuda::MatmulSpec;
using graph::Activation;
using graph::OpKind;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

/// What a library has besides plain products.
struct Abilities {
  bool sums = true;       ///< a bias's gradient in the weight's product
  bool epilogues = true;  ///< bias and relu in a product
  int processors = 0;     ///< of the card that it is for
};

bool HasEpilogue(const MatmulSpec& spec) { return spec.bias || spec.activation != Activation::kNone; }

/// Loops that tell which products they were prepared for, and refuse those that they are not able to do.
class LibraryUnderWatch final : public cuda::DenseLibrary {
 public:
  LibraryUnderWatch(Abilities abilities, std::vector<MatmulSpec>& prepared)
      : abilities_(abilities), prepared_(prepared) {}

  int processors() const override { return abilities_.processors; }
  bool Supports(const MatmulSpec& spec) override {
    return (abilities_.sums || !spec.a_sums) && (abilities_.epilogues || !HasEpilogue(spec));
  }
  size_t WorkspaceBytes(const MatmulSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  size_t WorkspaceBytes(const cuda::ConvolutionSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const cuda::MatmulOperands& operands,
                                          DeviceStream& stream) override {
    CHECK(Supports(spec), "{}", spec.ToString());
    prepared_.push_back(spec);
    return loops_->Prepare(spec, operands, stream);
  }
  std::unique_ptr<engine::Kernel> Prepare(const cuda::ConvolutionSpec& spec, const cuda::ConvolutionOperands& operands,
                                          DeviceStream& stream) override {
    return loops_->Prepare(spec, operands, stream);
  }
  std::string version() const override { return "under watch"; }

 private:
  const Abilities abilities_;
  std::vector<MatmulSpec>& prepared_;
  const std::unique_ptr<cuda::DenseLibrary> loops_ = cuda::MakeLoopLibrary();
};

class LinearTest : public testing::TestWithParam<DType> {
 protected:
  std::unique_ptr<engine::Backend> BackendWith(Abilities abilities) {
    return cuda::MakeEmulatedBackend(std::make_unique<LibraryUnderWatch>(abilities, prepared_));
  }
  double unit_roundoff() const { return GetParam() == DType::kBF16 ? 0x1p-8 : 0x1p-24; }
  void ExpectRight(Abilities abilities, OpKind kind, const std::vector<OpCase>& cases) {
    const auto backend = BackendWith(abilities);
    for (const OpCase& op_case : cases) {
      for (const std::string& line : CheckOp(*backend, kind, op_case, unit_roundoff(), GetParam()))
        ADD_FAILURE() << op_case.name << ": " << line;
    }
  }
  /// A layer of 16 inputs and 8 outputs with a bias; the products that were prepared for it, in prepared_.
  void PrepareForward(Abilities abilities, Activation activation) {
    prepared_.clear();
    const OpCase op_case{"", {F({30, 16}), Weight({8, 16}), Weight({8})}, graph::LinearAttributes{activation}};
    const Instance instance = MakeInstance(OpKind::kLinear, op_case, GetParam());
    const auto backend = BackendWith(abilities);
    OpRunner(*backend, instance, {}).Run();
  }
  /// A weight gradient without the results `unwanted`; the products that were prepared for it, in prepared_.
  void PrepareWeightGrad(bool sums, std::vector<int> unwanted) {
    PrepareWeightGrad({.sums = sums}, {"", {F({30, 16}), F({30, 8})}, graph::LinearAttributes{}, std::move(unwanted)});
  }
  void PrepareWeightGrad(Abilities abilities, const OpCase& op_case) {
    prepared_.clear();
    const Instance instance = MakeInstance(OpKind::kLinearWeightGrad, op_case, GetParam());
    const auto backend = BackendWith(abilities);
    OpRunner(*backend, instance, {});
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

// As split_sums.h has it: whole sums would leave most of a large card idle, and parts of them are worth reading dy once
// more. What it says is of products of bf16.
TEST_P(LinearTest, BiasGradientsAreApartWhereWholeSumsLeaveTheCardIdle) {
  const OpCase narrow{"8 outputs", {F({30000, 8}), F({30000, 64})}, graph::LinearAttributes{}};
  const bool bf16 = GetParam() == DType::kBF16;
  PrepareWeightGrad({.processors = 132}, narrow);
  EXPECT_THAT(prepared_, ElementsAre(Field(&MatmulSpec::a_sums, !bf16)));
  PrepareWeightGrad({.processors = 1}, narrow);
  EXPECT_THAT(prepared_, ElementsAre(Field(&MatmulSpec::a_sums, true)));
}

TEST_P(LinearTest, GradientsAreRightWhereTheLibraryHasNoSums) {
  ExpectRight({.sums = false}, OpKind::kLinearWeightGrad, LinearWeightGradCases());
}

TEST_P(LinearTest, BiasAndReluComeWithTheProductWhereTheLibraryCan) {
  const auto spec = [](bool bias, Activation activation) {
    return AllOf(Field(&MatmulSpec::bias, bias), Field(&MatmulSpec::activation, activation));
  };
  PrepareForward({}, Activation::kRelu);
  EXPECT_THAT(prepared_, ElementsAre(spec(true, Activation::kRelu)));
  PrepareForward({}, Activation::kGelu);
  EXPECT_THAT(prepared_, ElementsAre(spec(true, Activation::kNone)));
  PrepareForward({.epilogues = false}, Activation::kRelu);
  EXPECT_THAT(prepared_, ElementsAre(spec(false, Activation::kNone)));
}

TEST_P(LinearTest, LayersAreRightWhereTheLibraryHasNoEpilogues) {
  ExpectRight({.epilogues = false}, OpKind::kLinear, LinearCases());
  // More rows than a block of the kernel behind does, and rows that begin in the middle of 16 bytes.
  std::vector<OpCase> cases;
  for (const Activation activation : {Activation::kNone, Activation::kRelu, Activation::kGelu})
    cases.push_back({"", {F({700, 3}), Weight({5, 3}), Weight({5})}, graph::LinearAttributes{activation}});
  ExpectRight({.epilogues = false}, OpKind::kLinear, cases);
}

// What a plan without a device takes for granted is never less than what a device takes.
TEST_P(LinearTest, PlansHaveRoomForEitherWay) {
  const OpCase op_case{"", {F({3000, 16}), F({3000, 8})}, graph::LinearAttributes{}};
  const Instance instance = MakeInstance(OpKind::kLinearWeightGrad, op_case, GetParam());
  const auto planned = cuda::MakeEmulatedBackend(cuda::MakePlanningLibrary());
  for (const Abilities abilities : {Abilities{.sums = false}, Abilities{}, Abilities{.processors = 132}}) {
    EXPECT_GE(planned->WorkspaceBytes(instance.graph, instance.op()),
              BackendWith(abilities)->WorkspaceBytes(instance.graph, instance.op()));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LinearTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance

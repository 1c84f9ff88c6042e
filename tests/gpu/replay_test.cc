// What training relies on beside right results: captured work gives the bits of eager work, TF32 is off unless it is
// asked for, and not-a-number gets through what libraries fuse, so that a run that diverges is noticed.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "tests/gpu/device_backend.h"
#include "tests/gpu/kits.h"
#include "tests/trainer/kernels/op_runner.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using gpu::Execution;
using graph::Activation;
using graph::OpKind;

class DeviceTest : public testing::TestWithParam<DType> {
 protected:
  std::unique_ptr<engine::Backend> eager_ = gpu::MakeDeviceBackend(gpu::Kit(), Execution::kEager);
};

TEST_P(DeviceTest, CapturedWorkHasTheBitsOfEagerWork) {
  const auto captured = gpu::MakeDeviceBackend(gpu::Kit(), Execution::kCaptured);
  for (const OpCases& line : Table()) {
    for (const OpCase& op_case : line.cases) {
      const Instance instance = MakeInstance(line.kind, op_case, GetParam());
      const auto expected = OpRunner(*eager_, instance, {}).Run();
      OpRunner runner(*captured, instance, {});
      EXPECT_EQ(runner.Run(), expected) << graph::Name(line.kind) << ", " << op_case.name;
      EXPECT_EQ(runner.Run(), expected) << graph::Name(line.kind) << ", " << op_case.name << ", again";
    }
  }
}

/// The activation that a forward op has in itself.
std::optional<Activation> FusedActivation(const graph::Op& op) {
  switch (op.kind) {
    case OpKind::kLinear:
      return op.as<graph::LinearAttributes>().activation;
    case OpKind::kConv2d:
      return op.as<graph::Conv2dAttributes>().activation;
    case OpKind::kBatchNormTrain:
    case OpKind::kBatchNormInfer:
      return op.as<graph::NormAttributes>().activation;
    case OpKind::kAdd:
    case OpKind::kActivation:
      return op.as<graph::ActivationAttributes>().activation;
    default:
      return std::nullopt;
  }
}

TEST_P(DeviceTest, NotANumberGetsThroughRelu) {
  int tried = 0;
  for (const OpCases& line : Table()) {
    for (const OpCase& op_case : line.cases) {
      Instance instance = MakeInstance(line.kind, op_case, GetParam());
      if (FusedActivation(instance.op()) != Activation::kRelu) continue;
      std::vector<double>& x = instance.inputs[0].data;
      x[x.size() / 2] = std::numeric_limits<double>::quiet_NaN();
      const std::vector<double> expected = Expected(instance)[0].data;
      const std::vector<double> actual = Decode(GetParam(), OpRunner(*eager_, instance, {}).Run()[0]);
      int numbers = 0;
      for (size_t i = 0; i < actual.size(); ++i) numbers += std::isnan(expected[i]) && !std::isnan(actual[i]);
      EXPECT_EQ(numbers, 0) << graph::Name(line.kind) << ", " << op_case.name << ": elements that lost it";
      ++tried;
    }
  }
  EXPECT_GT(tried, 5);
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

/// The largest error of products on the device, in roundings to 24 bits of the sum of absolute terms. (Behind an
/// activation that has a minimum, such as GELU, errors have no such measure: its slope is 0 there.)
double WorstError(OpKind kind, engine::Backend& backend) {
  double worst = 0;
  for (const OpCase& op_case : Find(kind)->cases) {
    const Instance instance = MakeInstance(kind, op_case);
    if (FusedActivation(instance.op()) != Activation::kNone) continue;
    const reference::Tensor expected = Expected(instance)[0];
    const std::vector<double> actual = Decode(DType::kF32, OpRunner(backend, instance, {}).Run()[0]);
    for (size_t i = 0; i < actual.size(); ++i)
      if (expected.magnitude[i] > 0)
        worst = std::max(worst, std::abs(actual[i] - expected.data[i]) / expected.magnitude[i] * 0x1p24);
  }
  return worst;
}

// Factors of 11 bits err by 2^-11 each at the most, 2^13 roundings to 24 bits each.
TEST(Tf32Test, RoundsFactorsTo11BitsWhereItIsAskedFor) {
  const auto backend = gpu::MakeDeviceBackend(gpu::Kit(/*tf32=*/true), Execution::kEager);
  for (const OpKind kind : {OpKind::kLinear, OpKind::kConv2d}) {
    const double worst = WorstError(kind, *backend);
    std::printf("%s with TF32: worst error %.1f roundings\n", graph::Name(kind), worst);
    EXPECT_LT(worst, 0x1p14) << graph::Name(kind);
  }
}

}  // namespace
}  // namespace lockstep::conformance

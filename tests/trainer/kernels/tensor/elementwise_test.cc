// Elementwise tensor ops where random numbers don't lead: not-a-number, infinities, kinks, and integers.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/threads.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/kernels/op_values.h"

namespace lockstep::conformance {
namespace {

using graph::BinaryAttributes;
using graph::BinaryFunction;
using graph::BinaryGradAttributes;
using graph::OpKind;
using graph::UnaryAttributes;
using graph::UnaryFunction;
using graph::WhereAttributes;

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

class TensorElementwiseTest : public testing::TestWithParam<size_t> {
 protected:
  TensorElementwiseTest() { PrepareComputeThread(Backends()[GetParam()].threads, "elementwise"); }

  /// The op's result; of rank 1, from operands of rank 1. An empty operand is absent.
  std::vector<double> Run(OpKind kind, const std::vector<std::vector<double>>& operands,
                          const graph::Attributes& attributes) {
    std::vector<OperandValue> values;
    for (const std::vector<double>& operand : operands) {
      const Shape shape = operand.empty() ? Shape() : Shape({static_cast<int64_t>(operand.size())});
      values.push_back(Floats(shape, operand));
    }
    const auto backend = Backends()[GetParam()].make();
    return RunOn(*backend, kind, values, attributes)[0].data;
  }
  std::vector<double> Unary(const UnaryAttributes& f, const std::vector<double>& x) {
    return Run(OpKind::kUnary, {x}, f);
  }
  std::vector<double> UnaryGrad(const UnaryAttributes& f, const std::vector<double>& x) {
    return Run(OpKind::kUnaryGrad, {std::vector<double>(x.size(), 2), x}, f);
  }
  std::vector<double> Binary(BinaryFunction f, const std::vector<double>& a, const std::vector<double>& b) {
    return Run(OpKind::kBinary, {a, b}, BinaryAttributes{f});
  }
};

using Numbers = std::vector<double>;

TEST_P(TensorElementwiseTest, AsksForSpecialValues) {
  const Numbers special = {kNan, kInfinity, -kInfinity, 0, -3};
  EXPECT_EQ(Unary({UnaryFunction::kIsNan}, special), (Numbers{1, 0, 0, 0, 0}));
  EXPECT_EQ(Unary({UnaryFunction::kIsInf}, special), (Numbers{0, 1, 1, 0, 0}));
  EXPECT_EQ(Unary({UnaryFunction::kNot}, special), (Numbers{0, 0, 0, 1, 0}));
}

TEST_P(TensorElementwiseTest, NotANumberShows) {
  for (int f = 0; f < static_cast<int>(UnaryFunction::kCount); ++f) {
    const auto function = static_cast<UnaryFunction>(f);
    if (function == UnaryFunction::kIsNan || function == UnaryFunction::kIsInf || function == UnaryFunction::kNot)
      continue;
    EXPECT_TRUE(std::isnan(Unary({function, 0.5f, 1.5f}, {kNan})[0])) << Name(function);
  }
  for (int f = 0; f < static_cast<int>(BinaryFunction::kEqual); ++f) {
    const auto function = static_cast<BinaryFunction>(f);
    for (const double x : Binary(function, {kNan, 2.5}, {2.5, kNan}))
      EXPECT_TRUE(std::isnan(x) || function == BinaryFunction::kPRelu) << Name(function);
  }
}

TEST_P(TensorElementwiseTest, ComparisonsWithNotANumberAreFalse) {
  const Numbers a = {kNan, 1, kNan}, b = {1, kNan, kNan};
  for (const BinaryFunction f : {BinaryFunction::kEqual, BinaryFunction::kLess, BinaryFunction::kLessOrEqual,
                                 BinaryFunction::kGreater, BinaryFunction::kGreaterOrEqual})
    EXPECT_EQ(Binary(f, a, b), (Numbers{0, 0, 0})) << Name(f);
}

TEST_P(TensorElementwiseTest, GradientsAtKinksArePyTorchs) {
  EXPECT_EQ(UnaryGrad({UnaryFunction::kAbs}, {0}), (Numbers{0}));
  EXPECT_EQ(UnaryGrad({UnaryFunction::kClip, -1, 1}, {-1, 1, 1.5, -1.5}), (Numbers{2, 2, 0, 0}));
  EXPECT_EQ(UnaryGrad({UnaryFunction::kLeakyRelu, 0.25f}, {0, 1}), (Numbers{0.5, 2}));
  EXPECT_EQ(UnaryGrad({UnaryFunction::kHardSigmoid, 0.25f, 0.5f}, {-2, 2, 0}), (Numbers{0, 0, 0.5}));
  EXPECT_EQ(UnaryGrad({UnaryFunction::kHardSwish}, {-3, 3, 0}), (Numbers{0, 2, 1}));
  EXPECT_EQ(UnaryGrad({UnaryFunction::kThresholdedRelu, 1}, {1, 2}), (Numbers{0, 2}));
  const auto grad = [&](BinaryFunction f, int operand, const Numbers& a, const Numbers& b) {
    return Run(OpKind::kBinaryGrad, {Numbers(a.size(), 2), a, b}, BinaryGradAttributes{f, 0, operand});
  };
  for (const int operand : {0, 1}) {
    EXPECT_EQ(grad(BinaryFunction::kMinimum, operand, {3}, {3}), (Numbers{1}));
    EXPECT_EQ(grad(BinaryFunction::kMaximum, operand, {3}, {3}), (Numbers{1}));
  }
  EXPECT_EQ(grad(BinaryFunction::kPower, 0, {0, 0}, {0, 1}), (Numbers{0, 2}));
  EXPECT_EQ(grad(BinaryFunction::kPower, 1, {0, 0}, {0, 3}), (Numbers{0, 0}));
  EXPECT_EQ(grad(BinaryFunction::kPRelu, 0, {0, -1}, {0.25, 0.25}), (Numbers{0.5, 0.5}));
}

TEST_P(TensorElementwiseTest, WhatIsNotChosenDoesNotMatter) {
  EXPECT_EQ(Run(OpKind::kWhere, {{1, 0}, {5, kNan}, {kNan, 6}}, WhereAttributes{}), (Numbers{5, 6}));
  EXPECT_EQ(Run(OpKind::kWhere, {{1, 0}, {kInfinity, kNan}, {}}, WhereAttributes{0, -7}), (Numbers{kInfinity, -7}));
}

TEST_P(TensorElementwiseTest, IntegersOfAnySizeComeThrough) {
  const auto backend = Backends()[GetParam()].make();
  const Numbers large = {2147483647, -2147483648.0, 16777217, -1};
  EXPECT_EQ(RunOn(*backend, OpKind::kCast, {Integers({4}, large)}, graph::CastAttributes{DType::kI32})[0].data, large);
  EXPECT_EQ(Run(OpKind::kCast, {{2.75, -2.75, 0.5}}, graph::CastAttributes{DType::kI32}), (Numbers{2, -2, 0}));
}

INSTANTIATE_TEST_SUITE_P(Backends, TensorElementwiseTest, testing::Range(size_t{1}, Backends().size()),
                         [](const auto& info) { return Backends()[info.param].name; });

}  // namespace
}  // namespace lockstep::conformance

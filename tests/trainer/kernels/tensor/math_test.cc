// The elementary functions of trainer/kernels/tensor_math.h against the C library's in double: largest errors, in units
// of the last place, over dense sweeps and all magnitudes.
#include "trainer/kernels/tensor_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "base/philox.h"

namespace lockstep::kernels {
namespace {

/// Below, results may be flushed to 0.
constexpr double kSmallest = 1.2e-38;

double UlpsBetween(float actual, double expected) {
  if (std::isnan(expected)) return std::isnan(actual) ? 0 : kInfinity;
  const auto rounded = static_cast<float>(expected);
  if (std::isinf(rounded) || std::abs(expected) < kSmallest)
    return actual == rounded || std::abs(static_cast<double>(actual) - expected) < kSmallest ? 0 : kInfinity;
  const double ulp = static_cast<double>(std::nextafter(std::abs(rounded), kInfinity)) - std::abs(rounded);
  return std::abs(static_cast<double>(actual) - expected) / ulp;
}

struct Domain {
  float low, high;
};

/// The largest error over `domain`: evenly, and with magnitudes evenly down to 2^-100.
double WorstUlps(float (*actual)(float), double (*expected)(double), Domain domain) {
  constexpr uint32_t kPoints = 200000;
  const RandomStream stream{3, 0, 0, 0};
  double worst = 0;
  for (uint32_t i = 0; i < kPoints; ++i) {
    const double even = domain.low + (domain.high - domain.low) * stream.Uniform(2 * i);
    const float x = static_cast<float>(i % 2 == 0 ? even : even * std::exp2(-100 * stream.Uniform(2 * i + 1)));
    if (x < domain.low || x > domain.high) continue;
    worst = std::max(worst, UlpsBetween(actual(x), expected(static_cast<double>(x))));
  }
  return worst;
}

TEST(TensorMathTest, ErrorsAreAFewUnitsInTheLastPlace) {
  EXPECT_LT(WorstUlps(LogOf, std::log, {0, 1e30f}), 1);
  EXPECT_LT(WorstUlps(LogOf, std::log, {0.5f, 2}), 1);
  EXPECT_LT(WorstUlps(ExpMinusOne, std::expm1, {-20, 20}), 4);
  EXPECT_LT(WorstUlps(Erf, std::erf, {-6, 6}), 2);
  EXPECT_LT(WorstUlps(Sin, std::sin, {-10, 10}), 1);
  EXPECT_LT(WorstUlps(Sin, std::sin, {-1.6e6f, 1.6e6f}), 1);
  EXPECT_LT(WorstUlps(Cos, std::cos, {-10, 10}), 1);
  EXPECT_LT(WorstUlps(Cos, std::cos, {-1.6e6f, 1.6e6f}), 1);
  EXPECT_LT(WorstUlps(Tan, std::tan, {-10, 10}), 1);
  EXPECT_LT(WorstUlps(Sinh, std::sinh, {-88, 88}), 4);
  EXPECT_LT(WorstUlps(Cosh, std::cosh, {-88, 88}), 4);
  EXPECT_LT(WorstUlps(Asin, std::asin, {-1, 1}), 4);
  EXPECT_LT(WorstUlps(Acos, std::acos, {-1, 1}), 4);
  EXPECT_LT(WorstUlps(Atan, std::atan, {-100, 100}), 4);
  EXPECT_LT(WorstUlps(Asinh, std::asinh, {-1e6f, 1e6f}), 1);
  EXPECT_LT(WorstUlps(Acosh, std::acosh, {1, 100}), 1);
  EXPECT_LT(WorstUlps(Atanh, std::atanh, {-1, 1}), 1);
}

TEST(TensorMathTest, PowersAreAsPrecise) {
  const RandomStream stream{4, 0, 0, 0};
  double worst = 0;
  for (uint32_t i = 0; i < 200000; ++i) {
    const auto a = static_cast<float>(std::exp2(40 * stream.Uniform(2 * i) - 20));
    const auto b = static_cast<float>(12 * stream.Uniform(2 * i + 1) - 6);
    worst = std::max(worst, UlpsBetween(Power(a, b), std::pow(static_cast<double>(a), static_cast<double>(b))));
  }
  EXPECT_LT(worst, 2);
}

TEST(TensorMathTest, PowersHaveCsSpecialCases) {
  const std::initializer_list<float> numbers = {0.0f,  -2.0f, -1.0f,  1.0f,  2.0f,      3.0f,       0.5f,
                                                -0.5f, 1e30f, 1e-30f, -7.0f, kInfinity, -kInfinity, kNan};
  for (const float a : numbers)
    for (const float b : numbers)
      EXPECT_LT(UlpsBetween(Power(a, b), std::pow(static_cast<double>(a), static_cast<double>(b))), 2)
          << a << " to the power " << b;
}

TEST(TensorMathTest, SpecialValuesGoThrough) {
  EXPECT_EQ(LogOf(0), -kInfinity);
  EXPECT_EQ(LogOf(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(LogOf(-1)));
  EXPECT_EQ(Erf(kInfinity), 1);
  EXPECT_EQ(Erf(-kInfinity), -1);
  EXPECT_EQ(Atan(kInfinity), 1.570796327f);
  EXPECT_EQ(Atanh(1), kInfinity);
  EXPECT_TRUE(std::isnan(Atanh(1.5f)));
  EXPECT_TRUE(std::isnan(Asin(1.5f)));
  EXPECT_TRUE(std::isnan(Acos(-1.5f)));
  EXPECT_TRUE(std::isnan(Acosh(0.5f)));
  EXPECT_TRUE(std::isnan(Sin(kInfinity)));
  EXPECT_TRUE(std::isnan(Cos(-kInfinity)));
  EXPECT_LE(std::abs(Sin(1e30f)), 1);
  for (float (*f)(float) : {LogOf, ExpMinusOne, Erf, Sin, Cos, Tan, Sinh, Cosh, Asin, Acos, Atan, Asinh, Acosh, Atanh,
                            Floor, RoundHalfToEven, Truncate, Absolute})
    EXPECT_TRUE(std::isnan(f(kNan)));
}

TEST(TensorMathTest, RoundingIsExact) {
  for (const float x : {0.0f, 0.5f, 1.5f, 2.5f, 0.49999997f, 8388607.5f, 8388608.0f, 16777217.0f, 1e30f, 3.7f}) {
    for (const float y : {x, -x}) {
      EXPECT_EQ(RoundHalfToEven(y), std::nearbyint(y)) << y;
      EXPECT_EQ(Floor(y), std::floor(y)) << y;
      EXPECT_EQ(Truncate(y), std::trunc(y)) << y;
    }
  }
  EXPECT_EQ(Floor(kInfinity), kInfinity);
  EXPECT_EQ(Floor(-kInfinity), -kInfinity);
}

TEST(TensorMathTest, RemaindersHaveTheirOperandsSigns) {
  EXPECT_EQ(Remainder(5.5f, 2), 1.5f);
  EXPECT_EQ(Remainder(-5.5f, 2), -1.5f);
  EXPECT_EQ(Remainder(5.5f, -2), 1.5f);
  EXPECT_EQ(Modulo(-5.5f, 2), 0.5f);
  EXPECT_EQ(Modulo(5.5f, -2), -0.5f);
  EXPECT_EQ(Modulo(-4, 2), 0);
}

TEST(TensorMathTest, IntegersAreTowardsZeroAndInRange) {
  EXPECT_EQ(ToInteger(2.9f), 2);
  EXPECT_EQ(ToInteger(-2.9f), -2);
  EXPECT_EQ(ToInteger(1e20f), 2147483647);
  EXPECT_EQ(ToInteger(-kInfinity), -2147483647 - 1);
  EXPECT_EQ(ToInteger(kNan), 0);
}

}  // namespace
}  // namespace lockstep::kernels

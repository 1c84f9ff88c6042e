// The functions of trainer/kernels/cuda/blocks/fused_math.h against the C library in double precision.
#include "trainer/kernels/cuda/blocks/fused_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/threads.h"

namespace lockstep::cuda {
namespace {

using graph::Activation;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

/// The largest error of `f` over [low, high], in units in the last place of the exact result, of at least `least`.
template <typename F, typename Exact>
double WorstUlps(double low, double high, F f, Exact exact, float least = std::numeric_limits<float>::min()) {
  constexpr int kPoints = 200000;
  double worst = 0;
  for (int i = 0; i <= kPoints; ++i) {
    const auto x = static_cast<float>(low + (high - low) * i / kPoints);
    const double expected = exact(static_cast<double>(x));
    const float size = std::abs(static_cast<float>(expected));
    if (size < std::numeric_limits<float>::min()) continue;
    const float unit = std::max(size, least);
    const double ulp = static_cast<double>(std::nextafterf(unit, kInfinity)) - static_cast<double>(unit);
    worst = std::max(worst, std::abs(static_cast<double>(f(x)) - expected) / ulp);
  }
  return worst;
}

double ExactCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double ExactDensity(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double ExactLogistic(double x) { return 1 / (1 + std::exp(-x)); }
double ExactArgument(double x) { return 2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x); }
double ExactSlope(double x) { return 2 * std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x); }

class FusedMathTest : public testing::Test {
 protected:
  FusedMathTest() { PrepareComputeThread(1, "test"); }  // denormals are flushed, as on a card
};

TEST_F(FusedMathTest, StaysWithinTheErrorsItStates) {
  EXPECT_LT(WorstUlps(
                -87, 88, [](float x) { return Exp(x); }, [](double x) { return std::exp(x); }),
            1.5);
  EXPECT_LT(WorstUlps(
                1, 2.5, [](float x) { return Reciprocal(x); }, [](double x) { return 1 / x; }),
            1);
  EXPECT_LT(WorstUlps(
                1e-3, 1e5, [](float x) { return Reciprocal(x); }, [](double x) { return 1 / x; }),
            1);
  EXPECT_LT(WorstUlps(
                -80, 20, [](float x) { return Logistic(x).value; }, ExactLogistic),
            3);
  EXPECT_LT(WorstUlps(
                -20, 80, [](float x) { return Logistic(x).complement; }, [](double x) { return ExactLogistic(-x); }),
            3);
  EXPECT_LT(WorstUlps(
                -13, 10, [](float x) { return Normal(x).cdf; }, ExactCdf),
            4);
  EXPECT_LT(WorstUlps(
                -13, 13, [](float x) { return Normal(x).density; }, ExactDensity),
            4);
}

TEST_F(FusedMathTest, GeluAndItsGradientAreWithinAFewUlpsInBothForms) {
  EXPECT_LT(
      WorstUlps(
          -12.5, 20, [](float x) { return Activate<Activation::kGelu>(x); }, [](double x) { return x * ExactCdf(x); }),
      5);
  // The argument's rounding is multiplied by the argument: up to 32 where the result is 1e-7 of x.
  EXPECT_LT(WorstUlps(
                -2, 20, [](float x) { return Activate<Activation::kGeluTanh>(x); },
                [](double x) { return x * ExactLogistic(ExactArgument(x)); }),
            7);
  // Gradients are sums that pass through zero: units of 1/4.
  EXPECT_LT(WorstUlps(
                -13, 20, [](float x) { return ActivateGradient<Activation::kGelu>(1, x); },
                [](double x) { return ExactCdf(x) + x * ExactDensity(x); }, 0.25f),
            5);
  EXPECT_LT(WorstUlps(
                -13, 20, [](float x) { return ActivateGradient<Activation::kGeluTanh>(1, x); },
                [](double x) {
                  const double s = ExactLogistic(ExactArgument(x));
                  return s + x * s * (1 - s) * ExactSlope(x);
                },
                0.25f),
            5);
}

TEST_F(FusedMathTest, FarOutIsExact) {
  EXPECT_EQ(Exp(0), 1.0f);
  EXPECT_EQ(Exp(-1e30f), 0.0f);
  EXPECT_EQ(Exp(-kInfinity), 0.0f);
  EXPECT_EQ(Logistic(kInfinity).value, 1.0f);
  EXPECT_EQ(Logistic(-kInfinity).value, 0.0f);
  for (const float x : {13.3f, 100.0f, 1e30f}) {
    EXPECT_EQ(Activate<Activation::kGelu>(x), x);
    EXPECT_EQ(Activate<Activation::kGelu>(-x), 0.0f);
    EXPECT_EQ(ActivateGradient<Activation::kGelu>(1, x), 1.0f);
    EXPECT_EQ(ActivateGradient<Activation::kGelu>(1, -x), 0.0f);
  }
  for (const float x : {13.3f, 100.0f, 1e10f}) {
    EXPECT_EQ(Activate<Activation::kGeluTanh>(x), x);
    EXPECT_EQ(Activate<Activation::kGeluTanh>(-x), 0.0f);
    EXPECT_EQ(ActivateGradient<Activation::kGeluTanh>(1, x), 1.0f);
    EXPECT_EQ(ActivateGradient<Activation::kGeluTanh>(1, -x), 0.0f);
  }
}

TEST_F(FusedMathTest, NotANumberComesOut) {
  for (const float y : {Exp(kNan), Logistic(kNan).value, Normal(kNan).cdf, Activate<Activation::kGelu>(kNan),
                        Activate<Activation::kGeluTanh>(kNan), ActivateGradient<Activation::kGelu>(1, kNan),
                        ActivateGradient<Activation::kGeluTanh>(1, kNan), ActivateGradient<Activation::kSilu>(1, kNan)})
    EXPECT_TRUE(std::isnan(y));
}

}  // namespace
}  // namespace lockstep::cuda

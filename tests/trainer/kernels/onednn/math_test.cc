// The functions of trainer/kernels/math.h against the C library in double precision, and their bits on each instruction
// set.
#include "trainer/kernels/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <vector>

#include "trainer/kernels/elementwise.h"
#include "trainer/kernels/positions.h"

namespace lockstep::kernels {
namespace {

using graph::Activation;

/// The largest error of `f` over [low, high], in units in the last place of the exact result. Results below the
/// smallest normal number are left out.
template <typename F, typename Exact>
double WorstUlps(double low, double high, F f, Exact exact) {
  constexpr int kPoints = 200000;
  double worst = 0;
  for (int i = 0; i <= kPoints; ++i) {
    const auto x = static_cast<float>(low + (high - low) * i / kPoints);
    const double expected = exact(static_cast<double>(x));
    const float size = std::abs(static_cast<float>(expected));
    if (size < std::numeric_limits<float>::min()) continue;
    const double ulp = std::nextafterf(size, std::numeric_limits<float>::infinity()) - size;
    worst = std::max(worst, std::abs(static_cast<double>(f(x)) - expected) / ulp);
  }
  return worst;
}

double ExactCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

TEST(PositionsTest, AnglesAreExactInDoublePrecision) {
  for (const double base : {10000.0, 500000.0}) {
    for (int64_t pair = 0; pair < 64; ++pair) {
      const double exact = std::pow(base, -2.0 * static_cast<double>(pair) / 128);
      EXPECT_NEAR(Frequency(base, pair, 128) / exact, 1, 1e-13) << base << " " << pair;
    }
  }
  for (int64_t i = 0; i < 100000; ++i) {
    const double angle = static_cast<double>(i) * 1.618033988749895;
    EXPECT_NEAR(TurnBy(angle).cosine, std::cos(angle), 2e-15) << angle;
    EXPECT_NEAR(TurnBy(angle).sine, std::sin(angle), 2e-15) << angle;
  }
  EXPECT_NEAR(Sinusoid(3, 5, 8), std::cos(3 * std::pow(10000, -4.0 / 8)), 1e-14);
}

TEST(MathTest, StaysWithinTheErrorsItStates) {
  EXPECT_LT(WorstUlps(-87, 88.7, Exp, [](double x) { return std::exp(x); }), 1.5);
  EXPECT_LT(WorstUlps(-10, 10, Tanh, [](double x) { return std::tanh(x); }), 3);
  EXPECT_LT(WorstUlps(-1e-3, 1e-3, Tanh, [](double x) { return std::tanh(x); }), 3);
  EXPECT_LT(WorstUlps(-80, 20, Sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }), 3);
  EXPECT_LT(WorstUlps(
                -13, 10, [](float x) { return Normal(x).cdf; }, ExactCdf),
            4);
  EXPECT_LT(WorstUlps(
                -13, 13, [](float x) { return Normal(x).density; },
                [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }),
            4);
  for (double x = 1e-30; x < 1e30; x *= 1.37) EXPECT_NEAR(Log(x), std::log(x), 5e-16 * std::abs(std::log(x))) << x;
}

TEST(MathTest, PassesInfinityAndNotANumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Exp(-kInfinity), 0.0f);
  EXPECT_EQ(Tanh(-kInfinity), -1.0f);
  EXPECT_EQ(Sigmoid(kInfinity), 1.0f);
  EXPECT_EQ(Normal(-kInfinity).cdf, 0.0f);
  EXPECT_EQ(Normal(kInfinity).cdf, 1.0f);
  for (const float y : {Exp(kNan), Tanh(kNan), Sigmoid(kNan), Relu(kNan), Activate<Activation::kGelu>(kNan),
                        static_cast<float>(Log(static_cast<double>(kNan)))}) {
    EXPECT_TRUE(std::isnan(y));
  }
}

#if defined(__x86_64__) && !defined(__clang__)

LOCKSTEP_HD void All(const float* x, float* y, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    y[i] = Exp(x[i]) + Activate<Activation::kTanh>(x[i]) + Activate<Activation::kGelu>(x[i]) +
           ActivateGradient<Activation::kSilu>(1.0f, x[i]) + ActivateGradient<Activation::kGelu>(1.0f, x[i]);
  }
}
void OnBaseline(const float* x, float* y, int64_t size) { All(x, y, size); }
__attribute__((target("arch=x86-64-v3"))) void OnAvx2(const float* x, float* y, int64_t size) { All(x, y, size); }
__attribute__((target("arch=x86-64-v4"))) void OnAvx512(const float* x, float* y, int64_t size) { All(x, y, size); }

TEST(MathTest, HasTheSameBitsOnEveryInstructionSet) {
  std::vector<float> x(100003), baseline(x.size()), other(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = -20.0f + 40.0f * static_cast<float>(i) / static_cast<float>(x.size());
  const auto size = static_cast<int64_t>(x.size());
  OnBaseline(x.data(), baseline.data(), size);
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) GTEST_SKIP() << "this machine has no AVX2";
  OnAvx2(x.data(), other.data(), size);
  EXPECT_EQ(std::memcmp(other.data(), baseline.data(), x.size() * sizeof(float)), 0);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl")) return;
  OnAvx512(x.data(), other.data(), size);
  EXPECT_EQ(std::memcmp(other.data(), baseline.data(), x.size() * sizeof(float)), 0);
}

#endif

}  // namespace
}  // namespace lockstep::kernels

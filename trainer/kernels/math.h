// exp, log, tanh, the logistic function with its logarithms, and the normal distribution in float, for elementwise
// loops.
//
// Why our own: the C library picks its versions by CPU, so its bits differ between machines of one kind of ISA cap, and
// they don't vectorise. These are branch-free polynomials of plain multiplications and additions (never contracted to
// fma), so every instruction set and every vector width gives the same bits. Not-a-number goes in and comes out.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep::kernels {

/// e^(a + b), for a in float's range and |b| far below 1: what a rounded to (a square, say) and the rest. Error
/// below 1.5 ulp; infinity above 88.73, and what is below the smallest normal number is as the thread's flush-to-zero
/// mode has it.
LOCKSTEP_HD float ExpOfSum(float a, float b) {
  constexpr float kRound = 12582912.0f;                                // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // high times an integer below 2^15 is exact
  a = a > 89.0f ? 89.0f : a;
  a = a < -104.0f ? -104.0f : a;
  const float shifted = a * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (a - n * kLn2High) - n * kLn2Low + b;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^n in two factors, each a normal number.
  const int32_t exponent = __builtin_bit_cast(int32_t, shifted) - __builtin_bit_cast(int32_t, kRound);
  const int32_t half = exponent >> 1;
  const float scale1 = __builtin_bit_cast(float, static_cast<uint32_t>(half + 127) << 23);
  const float scale2 = __builtin_bit_cast(float, static_cast<uint32_t>(exponent - half + 127) << 23);
  return p * scale1 * scale2;
}

LOCKSTEP_HD float Exp(float x) { return ExpOfSum(x, 0.0f); }

/// The natural logarithm in double, for normal positive numbers: a few per row, so not written for speed. Error below 2
/// ulp.
LOCKSTEP_HD double Log(double x) {
  const uint64_t bits = __builtin_bit_cast(uint64_t, x);
  int exponent = static_cast<int>((bits >> 52) & 0x7FF) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 0.0;  // atanh(s) = s (1 + z / 3 + z^2 / 5 + ...)
  for (int k = 25; k >= 3; k -= 2) p = p * z + 1.0 / k;
  p = s + s * (p * z);
  const double result = exponent * 0.6931471805599453 + 2.0 * p;
  // Infinity and not-a-number pass through.
  return ((bits >> 52) & 0x7FF) == 0x7FF ? x : result;
}

/// Error below 3 ulp.
LOCKSTEP_HD float Tanh(float x) {
  const float t = x < 0.0f ? -x : x;
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * t + t;
  const float large = 1.0f - 2.0f / (Exp(2.0f * t) + 1.0f);
  const float magnitude = t < 0.625f ? small : large;
  return x < 0.0f ? -magnitude : magnitude;
}

/// 1 / (1 + e^-x). Error below 3 ulp.
LOCKSTEP_HD float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

/// log(1 + x) for x in [0, 1]: 2 atanh(x / (2 + x)) by its series. Error below 3 ulp, also near 0.
LOCKSTEP_HD float LogOfOnePlus(float x) {
  const float s = x / (2.0f + x);
  const float z = s * s;
  float p = 1.0f / 15;
  p = p * z + 1.0f / 13;
  p = p * z + 1.0f / 11;
  p = p * z + 1.0f / 9;
  p = p * z + 1.0f / 7;
  p = p * z + 1.0f / 5;
  p = p * z + 1.0f / 3;
  return 2.0f * (s + s * (z * p));
}

/// p = 1 / (1 + e^-x), 1 - p, and the logarithms of both: each to its own last places, however far x is from 0.
struct SigmoidPoint {
  float p, q;
  float log_p, log_q;
};

LOCKSTEP_HD SigmoidPoint SigmoidWithLogarithms(float x) {
  const float t = x < 0.0f ? -x : x;
  const float e = Exp(-t);
  const float large = 1.0f / (1.0f + e), small = e / (1.0f + e);
  const float log_large = -LogOfOnePlus(e), log_small = log_large - t;
  const bool negative = x < 0.0f;
  return {negative ? small : large, negative ? large : small, negative ? log_small : log_large,
          negative ? log_large : log_small};
}

/// The standard normal distribution and its density at x.
struct NormalPoint {
  float cdf;
  float density;
};

/// Near 0, the series 1/2 + x R(x^2). Elsewhere Q(t) = e^(-t^2 / 2) P((t - 2.5) / (t + 2.5)) / (1 + 1.5 t) for t = |x|,
/// with a polynomial P of degree 10 fitted to 2^-27 (after Shepherd and Laframboise, "Chebyshev approximation of (1 +
/// 2x) exp(x^2) erfc x", 1981), so that the tail keeps its relative precision: error below 4 ulp.
LOCKSTEP_HD NormalPoint Normal(float x) {
  float t = x < 0.0f ? -x : x;
  t = t > 16.0f ? 16.0f : t;
  // t^2 = high^2 + (t - high)(t + high), where high has 12 bits, so that its square is exact.
  const float high = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, t) & 0xFFFFF000u);
  const float bell = ExpOfSum(-0.5f * high * high, -0.5f * (t - high) * (t + high));
  const float u = (t - 2.5f) / (t + 2.5f);
  float p = -0.0001091677056f;
  p = p * u - 0.0003546652882f;
  p = p * u + 9.857275399e-05f;
  p = p * u + 0.00207800146f;
  p = p * u + 0.001514644091f;
  p = p * u - 0.01054909457f;
  p = p * u - 0.01048779729f;
  p = p * u + 0.08136932324f;
  p = p * u - 0.1131428612f;
  p = p * u - 0.02334634808f;
  p = p * u + 0.6713238252f;
  const float tail = bell * (p / (1.0f + 1.5f * t));
  const float z = t * t;
  float r = -7.652140085e-06f;
  r = r * z + 0.0001134811618f;
  r = r * z - 0.001186325338f;
  r = r * z + 0.009973321744f;
  r = r * z - 0.06649035971f;
  r = r * z + 0.3989422801f;
  const float far = x < 0.0f ? tail : 1.0f - tail;
  return {t < 0.75f ? 0.5f + x * r : far, bell * 0.398942280f};
}

}  // namespace lockstep::kernels

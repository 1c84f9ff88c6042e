// exp, the logistic function and the normal distribution for the GPU's kernels: in fused multiply-adds and with a
// reciprocal in the place of divisions, in a third of the instructions of trainer/kernels/math.h, whose bits CPUs keep.
// The host's fma is the same operation, so an emulated device has a card's bits. Not-a-number goes in and comes out.
// Numbers below the smallest normal one count as 0, as the thread's flush-to-zero mode has it.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "trainer/graph/graph.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {

/// a b + c, rounded once.
LOCKSTEP_HD float Fma(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

/// e^(a + b) for -88 <= a <= 88 and |b| far below 1. Error below 1.5 ulp.
LOCKSTEP_HD float ExpInRange(float a, float b) {
  // 1.5 * 2^23: adding it rounds to an integer, in the lowest bits; 127 more make that an exponent's bits.
  constexpr float kRound = 12582912.0f + 127.0f;
  const float shifted = Fma(a, 1.44269504f, kRound);
  const float n = shifted - kRound;
  const float r = Fma(n, -1.42860677e-6f, Fma(n, -0.693145752f, a)) + b;
  float p = 1.39263261e-3f;
  p = Fma(p, r, 8.36329255e-3f);
  p = Fma(p, r, 4.16665524e-2f);
  p = Fma(p, r, 1.66665763e-1f);
  p = Fma(p, r, 0.5f);
  p = Fma(p, r, 1.0f);
  p = Fma(p, r, 1.0f);
  return p * __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, shifted) << 23);
}

/// e^x for x up to 88: of what was made less than 0 by taking the largest away. Exactly 1 at 0.
LOCKSTEP_HD float Exp(float x) { return ExpInRange(x < -88.0f ? -88.0f : x, 0.0f); }

/// e^x as mantissa times a power of two, so that what adds or multiplies takes both in. For x up to 0, of any size:
/// what is below 2^-126 is 0. Error below (1.5 + |x| / 2) ulp: x log2(e) is rounded once, whole and fraction.
struct SplitExp {
  float mantissa, power;
};
LOCKSTEP_HD SplitExp ExpBelowOne(float x) {
  constexpr float kRound = 12582912.0f + 127.0f, kLog2E = 1.44269504f;
  x = x < -88.0f ? -88.0f : x;
  const float shifted = Fma(x, kLog2E, kRound);
  const float r = Fma(x, kLog2E, -(shifted - kRound));
  float p = 1.32647273e-3f;  // 2^r for |r| <= 1/2, 1 at 0
  p = Fma(p, r, 9.67151299e-3f);
  p = Fma(p, r, 5.55073358e-2f);
  p = Fma(p, r, 2.40222424e-1f);
  p = Fma(p, r, 6.93147004e-1f);
  p = Fma(p, r, 1.0f);
  return {p, __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, shifted) << 23)};
}

/// 1 / x for normal positive x below 2^126, within 1.4e-4 of it: the exponent negated and the mantissa on a line,
/// within 5.1 %, and one step of third order.
LOCKSTEP_HD float RoughReciprocal(float x) {
  const float start = __builtin_bit_cast(float, 0x7EF311C7u - __builtin_bit_cast(uint32_t, x));
  const float e = Fma(-x, start, 1.0f);
  return Fma(Fma(e, e, e), start, start);
}
/// Error below 1 ulp.
LOCKSTEP_HD float Reciprocal(float x) {
  const float start = RoughReciprocal(x);
  return Fma(Fma(-x, start, 1.0f), start, start);
}

/// The logistic function at u, and 1 minus it: each keeps its relative precision.
struct LogisticPoint {
  float value, complement;
};
LOCKSTEP_HD LogisticPoint Logistic(float u) {
  const float e = Exp(-fabsf(u)), large = Reciprocal(1.0f + e), small = e * large;
  const bool negative = u < 0.0f;
  return {negative ? small : large, negative ? large : small};
}

/// The standard normal distribution and its density. For t = |x|, Q(t) = e^(-t^2 / 2) P(u) / (t + 3.5) with u = 1 - 7 /
/// (t + 3.5), and P a polynomial of degree 9 fitted to 2^-26 (and then in its last bits to what float
/// makes of it): the tail keeps its relative precision. Error below 4 ulp.
LOCKSTEP_HD kernels::NormalPoint Normal(float x) {
  float t = fabsf(x);
  t = t > 13.25f ? 13.25f : t;  // from 13.2 on e^(-t^2 / 2) is no normal number
  const float half = -0.5f * t, square = half * t;
  const float bell = ExpInRange(square, Fma(half, t, -square));
  // u takes part in errors of t + 3.5 and its reciprocal nearly threefold: so with what rounding left of both.
  const float d = t + 3.5f, rest = t - (d - 3.5f), start = RoughReciprocal(d);
  const float correction = start * Fma(-rest, start, Fma(-d, start, 1.0f)), s = start + correction;
  const float u = Fma(-7.0f, correction, Fma(-7.0f, start, 1.0f));
  float p = 1.27029212e-4f;
  p = Fma(p, u, 4.50828084e-4f);
  p = Fma(p, u, -4.94684442e-4f);
  p = Fma(p, u, -3.19544761e-3f);
  p = Fma(p, u, 6.48866966e-3f);
  p = Fma(p, u, 1.74110178e-2f);
  p = Fma(p, u, -1.16052061e-1f);
  p = Fma(p, u, 3.15424711e-1f);
  p = Fma(p, u, -5.65561771e-1f);
  p = Fma(p, u, 7.44416058e-1f);
  const float tail = bell * (p * s);
  return {x < 0.0f ? tail : 1.0f - tail, bell * 0.398942280f};
}

/// 2 sqrt(2 / pi) (x + 0.044715 x^3), by which GELU's approximation is x times the logistic function, and its slope.
LOCKSTEP_HD float GeluArgument(float x) { return x * Fma(x * x, 0.0713548163f, 1.59576912f); }
LOCKSTEP_HD float GeluArgumentSlope(float x) { return Fma(x * x, 0.214064449f, 1.59576912f); }

/// kernels::Activate and ActivateGradient, with the functions above where they help.
template <graph::Activation kKind>
LOCKSTEP_HD float Activate(float x) {
  using graph::Activation;
  if constexpr (kKind == Activation::kGelu) return x * Normal(x).cdf;
  if constexpr (kKind == Activation::kGeluTanh) return x * Logistic(GeluArgument(x)).value;
  if constexpr (kKind == Activation::kSilu) return x * Logistic(x).value;
  if constexpr (kKind == Activation::kSigmoid) return Logistic(x).value;
  return kernels::Activate<kKind>(x);
}
template <graph::Activation kKind>
LOCKSTEP_HD float ActivateGradient(float dy, float v) {
  using graph::Activation;
  if constexpr (kKind == Activation::kGelu) {
    const kernels::NormalPoint normal = Normal(v);
    return dy * Fma(v, normal.density, normal.cdf);
  }
  if constexpr (kKind == Activation::kGeluTanh) {
    const LogisticPoint s = Logistic(GeluArgument(v));
    return dy * Fma(v * GeluArgumentSlope(v), s.value * s.complement, s.value);
  }
  if constexpr (kKind == Activation::kSilu) {
    const LogisticPoint s = Logistic(v);
    return dy * Fma(v, s.value * s.complement, s.value);
  }
  return kernels::ActivateGradient<kKind>(dy, v);
}

}  // namespace lockstep::cuda

// Further elementary functions in float, beside those of math.h and made as they are: polynomials of plain
// multiplications and additions, so that every instruction set gives the same bits, and loops over them vectorise.
// Those that few models use compute in double, as that is short. Not-a-number goes in and comes out; numbers below the
// smallest normal one count as 0. Errors are those that tests/trainer/kernels/tensor/math_test.cc holds.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

inline constexpr float kInfinity = __builtin_huge_valf(), kNan = __builtin_nanf("");

LOCKSTEP_HD float Absolute(float x) { return x < 0.0f ? -x : x == 0.0f ? 0.0f : x; }
LOCKSTEP_HD float SquareRoot(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}
LOCKSTEP_HD bool IsNan(float x) { return x != x; }
LOCKSTEP_HD bool IsInf(float x) { return x - x != 0.0f && x == x; }

/// To integers: exact. From 2^23 on, all floats are.
LOCKSTEP_HD float RoundHalfToEven(float x) {
  constexpr float kRound = 8388608.0f;
  const float t = Absolute(x), rounded = (t + kRound) - kRound;
  const float result = t < kRound ? rounded : t;
  return x < 0.0f ? -result : IsNan(x) ? x : result;
}
LOCKSTEP_HD float Floor(float x) {
  const float nearest = RoundHalfToEven(x);
  return nearest > x ? nearest - 1.0f : nearest;
}
LOCKSTEP_HD float Truncate(float x) { return x < 0.0f ? -Floor(-x) : Floor(x); }

/// Towards zero; what lies outside of integers becomes the nearest, and not-a-number 0.
LOCKSTEP_HD int32_t ToInteger(float x) {
  if (IsNan(x)) return 0;
  return x >= 2147483648.0f ? 2147483647 : x <= -2147483648.0f ? -2147483647 - 1 : static_cast<int32_t>(x);
}

/// a - b trunc(a / b), exactly.
LOCKSTEP_HD float Remainder(float a, float b) { return fmodf(a, b); }
/// a - b floor(a / b): the remainder, of b's sign.
LOCKSTEP_HD float Modulo(float a, float b) {
  const float rest = Remainder(a, b);
  return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

/// The natural logarithm (after Moshier's Cephes library): -infinity at 0, not-a-number below. Error below 1 ulp.
LOCKSTEP_HD float LogOf(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const float m = __builtin_bit_cast(float, (bits & 0x007FFFFFu) | 0x3F000000u);  // in [1/2, 1)
  const bool low = m < 0.707106781f;
  const float e = static_cast<float>(static_cast<int32_t>(bits >> 23) - (low ? 127 : 126));
  const float r = low ? m + m - 1.0f : m - 1.0f;
  const float z = r * r;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  p = p * r * z;
  p = p + e * -2.12194440e-4f;
  p = p - 0.5f * z;
  float result = r + p + e * 0.693359375f;
  result = x < 1.17549435e-38f ? -kInfinity : result;
  result = x < 0.0f ? kNan : result;
  return x == kInfinity || IsNan(x) ? x : result;
}

/// The logarithm in double of a float at least 0: -infinity at 0.
LOCKSTEP_HD double WideLog(double x) { return x == 0.0 ? -static_cast<double>(kInfinity) : Log(x); }

/// e^x - 1, which keeps its relative precision near 0. Error below 4 ulp.
LOCKSTEP_HD float ExpMinusOne(float x) {
  const float t = Tanh(0.5f * x);
  return Absolute(x) < 0.5f ? 2.0f * t / (1.0f - t) : Exp(x) - 1.0f;
}

/// The error function: an odd polynomial near 0, and 1 - e^p(|x|) elsewhere. Error below 2 ulp.
LOCKSTEP_HD float Erf(float x) {
  const float magnitude = Absolute(x), s = x * x;
  const float t = magnitude > 4.0f ? 4.0f : magnitude;  // from there on it is 1
  float large = -1.72853470e-5f;
  large = large * t + 3.83197126e-4f;
  large = large * t - 3.88396438e-3f;
  large = large * t + 2.42546219e-2f;
  large = large * t - 1.06777877e-1f;
  large = large * t - 6.34846687e-1f;
  large = large * t - 1.28717512e-1f;
  large = large * t - t;
  large = 1.0f - Exp(large);
  float small = -5.96761703e-4f;
  small = small * s + 4.99119423e-3f;
  small = small * s - 2.67681349e-2f;
  small = small * s + 1.12819925e-1f;
  small = small * s - 3.76125336e-1f;
  small = small * s + 1.28379166e-1f;
  small = small * x + x;
  const float signed_large = x < 0.0f ? -large : large;
  return t > 0.927734375f ? signed_large : small;
}

/// Sine and cosine: the argument less a multiple of pi / 2 in double, whose two parts (33 and 53 bits) are exact up to
/// |x| = 1.6 million, and polynomials of FreeBSD's libm. Error below 1 ulp up to there; farther on the argument is
/// what double leaves of it.
struct Turn {
  double sine, cosine;
};
LOCKSTEP_HD Turn TurnBy(float x) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  const double wide = static_cast<double>(x);
  const double shifted = wide * 6.36619772367581382433e-01 + kRound;
  const double n = shifted - kRound;
  double r = wide - n * 1.57079632673412561417e+00 - n * 6.07710050650619224932e-11;
  r = r > 0.8 ? 0.8 : r;
  r = r < -0.8 ? -0.8 : r;
  const double z = r * r, w = z * z;
  const double s = (r + z * r * (-0.166666666416265235595 + z * 0.0083333293858894631756)) +
                   z * r * w * (-0.000198393348360966317347 + z * 0.0000027183114939898219064);
  const double c = ((1.0 - z * 0.499999997251031003120) + w * 0.0416666233237390631894) +
                   w * z * (-0.00138867637746099294692 + z * 0.0000243904487962774090654);
  const auto quarter = __builtin_bit_cast(uint64_t, shifted) & 3u;
  const double a = quarter & 1u ? c : s, b = quarter & 1u ? s : c;
  return {quarter & 2u ? -a : a, quarter == 1 || quarter == 2 ? -b : b};
}
LOCKSTEP_HD float Sin(float x) { return static_cast<float>(TurnBy(x).sine); }
LOCKSTEP_HD float Cos(float x) { return static_cast<float>(TurnBy(x).cosine); }
LOCKSTEP_HD float Tan(float x) {
  const Turn turn = TurnBy(x);
  return static_cast<float>(turn.sine / turn.cosine);
}

/// a to the power b, as C's pow. Error below 2 ulp.
LOCKSTEP_HD float Power(float a, float b) {
  const float t = Absolute(a);
  const double log = Log(static_cast<double>(t == 0.0f ? 1.0f : t));
  double exponent = log == 0.0 ? 0.0 : static_cast<double>(b) * log;
  exponent = exponent > 200.0 ? 200.0 : exponent;
  exponent = exponent < -200.0 ? -200.0 : exponent;
  const auto high = static_cast<float>(exponent);
  float power = ExpOfSum(high, static_cast<float>(exponent - static_cast<double>(high)));
  power = t == 0.0f ? (b > 0.0f ? 0.0f : b < 0.0f ? kInfinity : b) : power;
  const float half = 0.5f * b;
  const bool whole = Floor(b) == b, odd = whole && Floor(half) != half;
  power = a < 0.0f && odd ? -power : power;
  power = a < 0.0f && !whole && (t != kInfinity || IsNan(b)) ? kNan : power;
  return b == 0.0f || a == 1.0f ? 1.0f : power;
}

/// Hyperbolic functions and inverses; in double where that is short. Errors below 4 ulp.
LOCKSTEP_HD float Sinh(float x) {
  const float t = Absolute(x), z = x * x;
  const float small = ((2.03721912945e-4f * z + 8.33028376239e-3f) * z + 1.66667160211e-1f) * z * x + x;
  const float root = Exp(0.5f * t), large = 0.5f * root * root - 0.5f / root / root;
  return t < 1.0f ? small : x < 0.0f ? -large : large;
}
LOCKSTEP_HD float Cosh(float x) {
  const float root = Exp(0.5f * Absolute(x));
  return 0.5f * root * root + 0.5f / root / root;
}
/// Angles: polynomials of the Cephes library.
LOCKSTEP_HD float Atan(float x) {
  const float t = Absolute(x);
  const bool large = t > 2.414213562f, middle = t > 0.414213562f;
  const float r = large ? -1.0f / t : middle ? (t - 1.0f) / (t + 1.0f) : t;
  const float z = r * r;
  const float p =
      (((8.05374449538e-2f * z - 1.38776856032e-1f) * z + 1.99777106478e-1f) * z - 3.33329491539e-1f) * z * r + r;
  const float result = p + (large ? 1.570796327f : middle ? 0.785398163f : 0.0f);
  return x < 0.0f ? -result : result;
}
LOCKSTEP_HD float Asin(float x) {
  const float t = Absolute(x);
  const bool large = t > 0.5f;
  const float z = large ? 0.5f * (1.0f - t) : t * t, r = large ? SquareRoot(z) : t;
  const float p = ((((4.2163199048e-2f * z + 2.4181311049e-2f) * z + 4.5470025998e-2f) * z + 7.4953002686e-2f) * z +
                   1.6666752422e-1f) *
                      z * r +
                  r;
  const float result = large ? 1.570796327f - 2.0f * p : p;
  return x < 0.0f ? -result : result;
}
LOCKSTEP_HD float Acos(float x) {
  const float half = Asin(SquareRoot(0.5f - 0.5f * Absolute(x)));
  const float outer = x < 0.0f ? 3.141592654f - 2.0f * half : 2.0f * half;
  return Absolute(x) > 0.5f || IsNan(x) ? outer : 1.570796327f - Asin(x);
}
LOCKSTEP_HD float Asinh(float x) {
  const double t = static_cast<double>(Absolute(x));
  const double large = WideLog(t + __builtin_sqrt(t * t + 1.0));
  const auto result = static_cast<float>(t < 1e-4 ? t - t * t * t / 6.0 : large);
  return x < 0.0f ? -result : result;
}
LOCKSTEP_HD float Acosh(float x) {
  const double t = static_cast<double>(x);
  const auto result = static_cast<float>(WideLog(t + __builtin_sqrt(t * t - 1.0)));
  return x < 1.0f ? kNan : result;
}
LOCKSTEP_HD float Atanh(float x) {
  const double t = static_cast<double>(Absolute(x));
  const double large = 0.5 * WideLog((1.0 + t) / (1.0 - t));
  float result = static_cast<float>(t < 1e-4 ? t + t * t * t / 3.0 : large);
  result = t > 1.0 ? kNan : result;
  return x < 0.0f ? -result : result;
}

}  // namespace lockstep::kernels

// How positions of a sequence turn into angles: for rotary positions and sinusoids. In double, of plain multiplications
// and additions (never contracted), so that every machine has the same tables; the C library picks its sine by CPU.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

/// base^(-2 pair / size): how far pair `pair` of `size` dimensions turns from one position to the next. Error below
/// 1e-13.
LOCKSTEP_HD double Frequency(double base, int64_t pair, int64_t size) {
  const double x = -2.0 * static_cast<double>(pair) / static_cast<double>(size) * Log(base);
  const double n = static_cast<double>(static_cast<int64_t>(x * 1.4426950408889634 - 0.5));  // rounds, as x <= 0
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double p = 1.0;
  for (int k = 16; k >= 1; --k) p = 1.0 + p * r / k;
  return p * __builtin_bit_cast(double, static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

struct Turn {
  double cosine, sine;
};

/// Of an angle in [0, 2^20). Error below 1e-15.
LOCKSTEP_HD Turn TurnBy(double angle) {
  const double shifted = angle * 0.63661977236758134 + 0.5;
  const auto quarter = static_cast<int64_t>(shifted);
  const auto n = static_cast<double>(quarter);
  const double r = (angle - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
  const double z = r * r;
  double s = 1.0, c = 1.0;
  for (int k = 20; k >= 2; k -= 2) {
    s = 1.0 - s * z / (k * (k + 1));
    c = 1.0 - c * z / (k * (k - 1));
  }
  s *= r;
  switch (quarter & 3) {
    case 0:
      return {c, s};
    case 1:
      return {-s, c};
    case 2:
      return {-c, -s};
    default:
      return {s, -c};
  }
}

/// What sinusoidal positions add to dimension `dimension` of position `position`.
LOCKSTEP_HD double Sinusoid(int64_t position, int64_t dimension, int64_t channels) {
  const Turn turn = TurnBy(static_cast<double>(position) * Frequency(10000.0, dimension / 2, channels));
  return dimension % 2 == 0 ? turn.sine : turn.cosine;
}

}  // namespace lockstep::kernels

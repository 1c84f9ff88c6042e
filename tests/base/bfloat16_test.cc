#include "base/bfloat16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lockstep {
namespace {

float AsFloat(uint32_t bits) { return std::bit_cast<float>(bits); }

/// The nearer of two neighbours in double precision, of equally near ones the even one; beyond the last, infinity.
uint16_t Nearest(float x, uint16_t below) {
  const auto above = static_cast<uint16_t>(below + 1);  // away from zero
  const double low = static_cast<double>(AsFloat(uint32_t{below} << 16));
  // Behind the largest number, where infinity begins, a further one of its spacing would lie.
  const bool last = (above & 0x7FFF) == 0x7F80;
  const double high = last ? std::copysign(0x1p128, low) : static_cast<double>(AsFloat(uint32_t{above} << 16));
  const double to_low = std::abs(static_cast<double>(x) - low), to_high = std::abs(high - static_cast<double>(x));
  if (to_low != to_high) return to_low < to_high ? below : above;
  return below % 2 == 0 ? below : above;
}

TEST(BFloat16Test, EveryValueComesBackAsItIs) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float x = AsFloat(bits << 16);
    const uint16_t back = BFloat16::From(x).bits;
    ASSERT_EQ(back, std::isnan(x) ? 0x7FFF : bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(BFloat16{static_cast<uint16_t>(bits)}.Float()), bits << 16);
  }
}

TEST(BFloat16Test, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t upper = 0; upper <= 0xFFFF; ++upper) {
    for (const uint32_t lower : {0x0001u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      const float x = AsFloat(upper << 16 | lower);
      const uint16_t expected = std::isnan(x) ? uint16_t{0x7FFF} : Nearest(x, static_cast<uint16_t>(upper));
      ASSERT_EQ(BFloat16::From(x).bits, expected) << std::hex << (upper << 16 | lower);
    }
  }
}

}  // namespace
}  // namespace lockstep

#include "data/table/plain_number.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lockstep::data {
namespace {

/// Those that a double holds exactly.
constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int kMostPower = 22;
constexpr ptrdiff_t kMostDigits = 18;  // an int64 holds them
constexpr ptrdiff_t kMostBehind = 100;

bool IsDigit(char c) { return '0' <= c && c <= '9'; }

/// Appends the digits at `text` to `digits` and returns where they end. Of more than kMostDigits, zeros in front apart,
/// the value is of no use. One by one, which is best for few.
[[gnu::always_inline]] inline const char* ReadDigits(const char* text, const char* end, uint64_t& digits) {
  for (; text != end && IsDigit(*text); ++text) digits = digits * 10 + static_cast<uint64_t>(*text - '0');
  return text;
}

/// The number that eight digits make, the first of them the lowest byte.
uint64_t Join(uint64_t eight) {
  eight = eight * 2561 >> 8;                             // pairs: 10 * a + b
  eight = (eight & 0x00FF00FF00FF00FF) * 6553601 >> 16;  // fours
  return (eight & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

/// The same, eight at a time: how many are left makes no branch, which would be guessed wrong.
[[gnu::always_inline]] inline const char* ReadManyDigits(const char* text, const char* end, uint64_t& digits) {
  constexpr uint64_t kZeros = 0x3030303030303030, kToTop = 0x7676767676767676, kTop = 0x8080808080808080;
  constexpr uint64_t kTens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
  while (end - text >= 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, text, sizeof eight);  // little-endian
    eight ^= kZeros;
    // The top bit of each byte that is above 9; those behind the first such may be wrong.
    const uint64_t others = ((eight + kToTop) | eight) & kTop;
    if (others == 0) {
      digits = digits * 100000000 + Join(eight);
      text += 8;
      continue;
    }
    const int count = std::countr_zero(others) / 8;
    digits = digits * kTens[count] + Join(eight << (8 * (7 - count)) << 8);
    return text + count;
  }
  return ReadDigits(text, end, digits);
}

/// Reads what follows an e; null where that is no small number.
const char* ReadExponent(const char* text, const char* end, int& exponent) {
  const bool negative = text != end && *text == '-';
  if (text != end && (*text == '-' || *text == '+')) ++text;
  uint64_t digits = 0;
  const char* const begin = text;
  text = ReadDigits(text, end, digits);
  if (text == begin || text - begin > 3) return nullptr;
  exponent = negative ? -static_cast<int>(digits) : static_cast<int>(digits);
  return text;
}

/// Zeros in front of the first other digit.
ptrdiff_t CountZeros(const char* text, const char* end) {
  ptrdiff_t zeros = 0;
  for (; text != end && (*text == '0' || *text == '.'); ++text) zeros += *text == '0';
  return zeros;
}

/// Whether the double nearest to a decimal that `value` is computed from becomes the same float as `value`. Digits and
/// their product with a power are rounded once each: together with the nearest double's own rounding they are 2.5 units
/// of its last place apart at most, which only matters where the middle between two floats lies so close.
bool RoundsAlike(double value) {
  constexpr double kLeast = 1e-30, kMost = 1e38;  // floats of full precision
  constexpr uint64_t kBelowFloat = (uint64_t{1} << 29) - 1, kMiddle = uint64_t{1} << 28, kMargin = 8;
  if (!(value >= kLeast && value <= kMost)) return value == 0;
  return (std::bit_cast<uint64_t>(value) & kBelowFloat) - (kMiddle - kMargin) > 2 * kMargin;
}

}  // namespace

const char* ReadPlainNumber(const char* text, const char* end, float& number) {
  const bool negative = text != end && *text == '-';
  text += negative;
  uint64_t digits = 0;
  const char* const begin = text;
  text = ReadDigits(text, end, digits);
  ptrdiff_t count = text - begin, behind = 0;
  if (text != end && *text == '.') {
    const char* const point = text;
    text = ReadManyDigits(text + 1, end, digits);
    behind = text - point - 1;
    count += behind;
  }
  if (count == 0 || behind > kMostBehind) return nullptr;
  if (count > kMostDigits && count - CountZeros(begin, text) > kMostDigits) return nullptr;
  int exponent = 0;
  if (text != end && (*text | 0x20) == 'e') {
    text = ReadExponent(text + 1, end, exponent);
    if (text == nullptr) return nullptr;
  }
  const int power = exponent - static_cast<int>(behind);
  if (power < -kMostPower || power > kMostPower) return nullptr;
  const auto whole = static_cast<double>(static_cast<int64_t>(digits));
  const double value = power < 0 ? whole / kPowers[-power] : whole * kPowers[power];
  if (!RoundsAlike(value)) return nullptr;
  const uint32_t sign = uint32_t{negative} << 31;
  number = std::bit_cast<float>(std::bit_cast<uint32_t>(static_cast<float>(value)) | sign);
  return text;
}

}  // namespace lockstep::data

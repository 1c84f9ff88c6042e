#include "base/philox.h"

#include <cmath>
#include <numbers>

namespace lockstep {

double NormalFromBits(uint32_t a, uint32_t b) {
  const double radius_bits = (static_cast<double>(a) + 1) * 0x1p-32;  // in (0, 1]: the logarithm is finite
  const double angle = static_cast<double>(b) * 0x1p-32 * 2 * std::numbers::pi;
  return std::sqrt(-2 * std::log(radius_bits)) * std::cos(angle);
}

}  // namespace lockstep

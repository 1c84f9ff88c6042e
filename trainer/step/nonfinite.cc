#include "trainer/step/nonfinite.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/isa_clones.h"

namespace lockstep::step {
namespace {

/// A NaN or an infinity has all bits of the exponent set.
LOCKSTEP_ISA_CLONES bool AnyNonfinite(const float* values, size_t count) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t any = 0;
  for (size_t i = 0; i < count; ++i) any |= (std::bit_cast<uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
  return any != 0;
}

}  // namespace

int64_t FirstNonfinite(std::span<const float> values) {
  if (!AnyNonfinite(values.data(), values.size())) return -1;
  const auto first = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  return first - values.begin();
}

}  // namespace lockstep::step

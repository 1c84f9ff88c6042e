// bfloat16: a float with 8 bits of precision (the upper half of a float's bits). Arithmetic happens in float; storing
// rounds to the nearest, ties to even, and makes every not-a-number the same one (7FFF), as GPUs' conversions do.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep {

struct BFloat16 {
  uint16_t bits;

  static LOCKSTEP_HD BFloat16 From(float x) {
#ifdef __CUDA_ARCH__
    BFloat16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#else
    const uint32_t word = __builtin_bit_cast(uint32_t, x);
    if ((word & 0x7FFFFFFFu) > 0x7F800000u) return {0x7FFF};
    return {static_cast<uint16_t>((word + 0x7FFFu + ((word >> 16) & 1u)) >> 16)};
#endif
  }
  LOCKSTEP_HD float Float() const { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }
};

/// What kernels that are written for both element types use.
LOCKSTEP_HD float ToFloat(float x) { return x; }
LOCKSTEP_HD float ToFloat(BFloat16 x) { return x.Float(); }
template <typename T>
LOCKSTEP_HD T FromFloat(float x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return x;
  } else {
    return BFloat16::From(x);
  }
}

}  // namespace lockstep

// Packs: neighbouring elements that a thread reads or writes as one, 16 bytes where the shape allows, and computes with
// in float.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "base/bfloat16.h"
#include "trainer/kernels/cuda/blocks/block.h"

namespace lockstep::cuda {

/// The elements as float. Two bf16 in a word are one instruction each.
template <typename T, int kPack>
LOCKSTEP_HD void Unpack(const Pack<T, kPack>& pack, float* to) {
  if constexpr (std::is_same_v<T, BFloat16> && kPack % 2 == 0) {
    const auto words = __builtin_bit_cast(Pack<uint32_t, kPack / 2>, pack);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; i += 2) {
      to[i] = __builtin_bit_cast(float, words.at[i / 2] << 16);
      to[i + 1] = __builtin_bit_cast(float, words.at[i / 2] & 0xFFFF0000u);
    }
  } else {
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) to[i] = ToFloat(pack.at[i]);
  }
}

/// The pack at `from`, 16 bytes at a time where it has so many: the compiler would take larger ones apart. REQUIRES:
/// `from` is aligned to kPack elements.
template <int kPack, typename T>
LOCKSTEP_HD Pack<T, kPack> ReadPack(const T* from) {
#ifdef __CUDA_ARCH__
  if constexpr (sizeof(Pack<T, kPack>) == 2 * sizeof(uint4)) {
    const auto* const words = reinterpret_cast<const uint4*>(from);
    const Pack<uint4, 2> both{words[0], words[1]};
    return __builtin_bit_cast(Pack<T, kPack>, both);
  }
#endif
  return *reinterpret_cast<const Pack<T, kPack>*>(from);
}

/// REQUIRES: `from` is aligned to kPack elements.
template <int kPack, typename T>
LOCKSTEP_HD void LoadPack(const T* from, float* to) {
  Unpack(ReadPack<kPack>(from), to);
}

#ifdef __CUDA_ARCH__
/// Both as bf16, `low` in the lower half: one instruction.
__device__ __forceinline__ uint32_t TwoBFloat16(float low, float high) {
  uint32_t two;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(two) : "f"(high), "f"(low));
  return two;
}
#endif

/// The elements as they are stored.
template <typename T, int kPack>
LOCKSTEP_HD Pack<T, kPack> PackOf(const float* values) {
#ifdef __CUDA_ARCH__
  if constexpr (std::is_same_v<T, BFloat16> && kPack % 2 == 0) {
    Pack<uint32_t, kPack / 2> words;
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; i += 2) words.at[i / 2] = TwoBFloat16(values[i], values[i + 1]);
    return __builtin_bit_cast(Pack<T, kPack>, words);
  } else
#endif
  {
    Pack<T, kPack> pack;
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) pack.at[i] = FromFloat<T>(values[i]);
    return pack;
  }
}

/// REQUIRES: `to` is aligned to kPack elements.
template <int kPack, typename T>
LOCKSTEP_HD void StorePack(const float* from, T* to) {
  *reinterpret_cast<Pack<T, kPack>*>(to) = PackOf<T, kPack>(from);
}

/// One store of 16 or 8 bytes, where the compiler would take the assignment of a pack apart: it does so with what a
/// loop has worked out. REQUIRES: `to` is global memory, aligned to N elements, and this thread does not read it again.
template <typename T, int N>
LOCKSTEP_HD void StoreWhole(const Pack<T, N>& pack, T* to) {
#ifdef __CUDA_ARCH__
  // No clobber of memory: behind one the compiler no longer knows which addresses are global.
  if constexpr (sizeof(pack) == sizeof(uint4)) {
    const auto words = __builtin_bit_cast(uint4, pack);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};"
                 :
                 : "l"(__cvta_generic_to_global(to)), "r"(words.x), "r"(words.y), "r"(words.z), "r"(words.w));
  } else {
    static_assert(sizeof(pack) == sizeof(uint2));
    const auto words = __builtin_bit_cast(uint2, pack);
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" : : "l"(__cvta_generic_to_global(to)), "r"(words.x), "r"(words.y));
  }
#else
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
#endif
}

/// The elements of a pack, stored whole; of a pack of one, simply stored. REQUIRES: as StoreWhole.
template <int kPack, typename T>
LOCKSTEP_HD void StorePackWhole(const float* from, T* to) {
  if constexpr (kPack > 1) {
    StoreWhole(PackOf<T, kPack>(from), to);
  } else {
    *to = FromFloat<T>(from[0]);
  }
}

/// Calls run(std::integral_constant<int, n>{}) with n the elements of type T in 16 bytes where all of `sizes` (row
/// lengths, offsets) are multiples of n, else with 1.
template <typename T, typename F>
auto WithPack(std::initializer_list<int64_t> sizes, F&& run) {
  constexpr int kPack = 16 / sizeof(T);
  bool fits = true;
  for (const int64_t size : sizes) fits = fits && size % kPack == 0;
  if (fits) return run(std::integral_constant<int, kPack>{});
  return run(std::integral_constant<int, 1>{});
}

struct Quotient {
  int64_t quotient, remainder;
};

/// index / size for 0 <= index, 0 < size: in 32 bits where they suffice, which a GPU does several times as fast.
LOCKSTEP_HD Quotient Divide(int64_t index, int64_t size) {
  if (((index | size) >> 32) == 0) {
    const auto a = static_cast<uint32_t>(index), b = static_cast<uint32_t>(size);
    const uint32_t quotient = a / b;
    return {quotient, a - quotient * b};
  }
  const int64_t quotient = index / size;
  return {quotient, index - quotient * size};
}

}  // namespace lockstep::cuda

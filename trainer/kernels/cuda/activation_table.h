// Activations of many bf16 elements by looking them up: a block works out what its activation makes of every bf16 from
// 2^-12 to 2^4 and its negative, 4,096 of them, keeps that in shared memory, and goes on to a hundred thousand
// elements. An element is then some ten instructions instead of the fifty of GELU, and the same bits: entries are what
// the activation's own function gives. Packs with an element outside call that function.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/bfloat16.h"
#include "trainer/kernels/cuda/blocks/fused_math.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {

/// Whether looking up is faster, and the gradient is dy times a function of v.
constexpr bool HasActivationTable(graph::Activation kind) {
  using graph::Activation;
  return kind == Activation::kGelu || kind == Activation::kGeluTanh || kind == Activation::kSilu;
}

/// Where an element's entry lies: 11 bits of exponent and mantissa from that of 2^-12 on, and the sign.
struct TablePlace {
  static constexpr uint32_t kFirst = (127 - 12) << 7, kMagnitudes = 2048, kEntries = 2 * kMagnitudes;
  static constexpr uint32_t kOutside = 0x7800;  ///< bits of an offset that are 0 for elements of the table alone

  uint32_t offset;

  /// `bits`: of a bf16.
  explicit LOCKSTEP_HD TablePlace(uint32_t bits) : offset(bits - kFirst) {}
  /// Of the table in any case.
  LOCKSTEP_HD uint32_t entry() const { return (offset & (kMagnitudes - 1)) | ((offset >> 4) & kMagnitudes); }
  /// The element of an entry, as a float.
  static LOCKSTEP_HD float Element(uint32_t entry) {
    const uint32_t bits = kFirst + (entry & (kMagnitudes - 1)) + ((entry & kMagnitudes) << 4);
    return __builtin_bit_cast(float, bits << 16);
  }
};

/// y = act(v), or with kGradient dy act'(v), for `size` elements; y may be v or dy. A block does `rounds` packs a
/// thread.
template <graph::Activation kKind, bool kGradient>
struct TabulatedActivation {
  static_assert(HasActivationTable(kKind));
  static constexpr int kThreads = 256;
  static constexpr int kEach = 8;
  /// What an activation gives is rounded; a slope is multiplied first.
  using Entry = std::conditional_t<kGradient, float, BFloat16>;
  struct Shared {
    Entry entries[TablePlace::kEntries];
  };

  const BFloat16* dy;  ///< not read without kGradient
  const BFloat16* v;
  BFloat16* y;
  int64_t size;
  int rounds;

  static LOCKSTEP_HD float Compute(float dy, float v) {
    if constexpr (kGradient) {
      return ActivateGradient<kKind>(dy, v);
    } else {
      return Activate<kKind>(v);
    }
  }

  LOCKSTEP_HD void DoPack(const Shared& shared, int64_t begin) const {
    const auto words = __builtin_bit_cast(Pack<uint32_t, kEach / 2>, ReadPack<kEach>(v + begin));
    float at[kEach], slope[kEach] = {};
    if constexpr (kGradient) LoadPack<kEach>(dy + begin, slope);
    uint32_t outside = 0;
    LOCKSTEP_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const TablePlace place(i % 2 == 0 ? words.at[i / 2] & 0xFFFFu : words.at[i / 2] >> 16);
      outside |= place.offset;
      const Entry entry = shared.entries[place.entry()];
      if constexpr (kGradient) {
        at[i] = slope[i] * entry;
      } else {
        at[i] = ToFloat(entry);
      }
    }
    if ((outside & TablePlace::kOutside) != 0) {
      float elements[kEach];
      Unpack(__builtin_bit_cast(Pack<BFloat16, kEach>, words), elements);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) at[i] = Compute(slope[i], elements[i]);
    }
    StorePack<kEach>(at, y + begin);
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      for (uint32_t i = static_cast<uint32_t>(t); i < TablePlace::kEntries; i += kThreads) {
        const float entry = Compute(1.0f, TablePlace::Element(i));
        if constexpr (kGradient) {
          shared.entries[i] = entry;
        } else {
          shared.entries[i] = FromFloat<BFloat16>(entry);
        }
      }
    });
    block.ForEachThreadAlone([&](int t) {
      int64_t begin = (block.index() * rounds * kThreads + t) * kEach;
      for (int round = 0; round < rounds && begin < size; ++round, begin += int64_t{kThreads} * kEach) {
        if (begin + kEach <= size) {
          DoPack(shared, begin);
          continue;
        }
        for (int64_t i = begin; i < size; ++i)
          y[i] = FromFloat<BFloat16>(Compute(kGradient ? ToFloat(dy[i]) : 0.0f, ToFloat(v[i])));
      }
    });
  }
};

/// Elements from which on blocks are many and long enough for tables.
inline constexpr int64_t kFewestTabulated = int64_t{1} << 24;

/// REQUIRES: without kGradient, `dy` is not read.
template <graph::Activation kKind, bool kGradient>
void LaunchTabulated(DeviceStream& stream, const BFloat16* dy, const BFloat16* v, BFloat16* y, int64_t size) {
  using Kernel = TabulatedActivation<kKind, kGradient>;
  constexpr int64_t kPacks = Kernel::kThreads * Kernel::kEach, kBlocks = 1024, kFewest = 16, kMost = 64;
  const auto rounds = static_cast<int>(std::clamp(size / (kPacks * kBlocks), kFewest, kMost));
  Launch(stream, BlocksFor(size, Kernel::kThreads, Kernel::kEach * rounds), Kernel{dy, v, y, size, rounds});
}

}  // namespace lockstep::cuda

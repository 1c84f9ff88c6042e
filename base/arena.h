// The units in which arenas are laid out, cut and shared: an arena is an array of floats that holds all parameters, or
// something parallel to them (gradients, optimizer state, averages). The engine lays arenas out, the exchange cuts them
// and the kernels walk them, by these numbers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"

namespace lockstep {

/// Elements of an arena that are summed, hashed and owned together. Global norms add chunk sums in index order; edges
/// of slices and buckets are chunk edges (or the arena's end). It decides bits.
inline constexpr int64_t kChunkElements = 4096;

/// Elements [begin, end) of an arena.
struct ElementRange {
  int64_t begin = 0;
  int64_t end = 0;

  LOCKSTEP_HD constexpr int64_t size() const { return end - begin; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

/// The chunks of `elements`, where the last one may be shorter.
LOCKSTEP_HD constexpr int64_t ChunkCount(int64_t elements) { return (elements + kChunkElements - 1) / kChunkElements; }

/// Every buffer that kernels touch starts at a multiple of this: a page.
inline constexpr size_t kBufferAlignment = 4096;
/// Values inside an arena start at multiples of this: a cache line, and an AVX-512 register.
inline constexpr size_t kValueAlignment = 64;

constexpr size_t AlignUp(size_t value, size_t alignment) { return (value + alignment - 1) / alignment * alignment; }

}  // namespace lockstep

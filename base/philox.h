// Counter-based random numbers: Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC
// 2011).
//
// A number is a pure function of (seed, step, layer key, global sample index, element), so it does not depend on which
// rank, lane or thread asks for it, or on what was drawn before.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep {

struct Philox4 {
  uint32_t x[4];
};

/// Ten rounds of Philox4x32 over `counter` with `key`.
LOCKSTEP_HD Philox4 Philox(Philox4 counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter.x[0];
    const uint64_t b = uint64_t{0xCD9E8D57u} * counter.x[2];
    counter = {{static_cast<uint32_t>(b >> 32) ^ counter.x[1] ^ key0, static_cast<uint32_t>(b),
                static_cast<uint32_t>(a >> 32) ^ counter.x[3] ^ key1, static_cast<uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Mixes 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
LOCKSTEP_HD uint64_t Mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// One stream of random numbers: all elements of one sample in one layer at one step.
///
/// The key is (seed, layer); the counter is (element / 4, sample, step) with 32 + 48 + 48 bits, so streams never
/// overlap.
struct RandomStream {
  uint64_t seed;
  uint64_t step;
  uint32_t layer;
  uint64_t sample;

  /// Four numbers: elements 4 * group to 4 * group + 3.
  LOCKSTEP_HD Philox4 Group(uint32_t group) const {
    const uint64_t key = Mix64(seed + 0x9E3779B97F4A7C15u * (uint64_t{layer} + 1));
    const Philox4 counter = {{group, static_cast<uint32_t>(sample),
                              static_cast<uint32_t>((sample >> 32) & 0xFFFFu) | static_cast<uint32_t>(step << 16),
                              static_cast<uint32_t>(step >> 16)}};
    return Philox(counter, static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
  }
  LOCKSTEP_HD uint32_t Bits(uint32_t element) const { return Group(element / 4).x[element % 4]; }
  /// Uniform in [0, 1), a multiple of 2^-24.
  LOCKSTEP_HD float Uniform(uint32_t element) const { return static_cast<float>(Bits(element) >> 8) * 0x1p-24f; }
};

/// A standard normal number from two uniform words (Box-Muller), computed in double on the host.
double NormalFromBits(uint32_t a, uint32_t b);

}  // namespace lockstep

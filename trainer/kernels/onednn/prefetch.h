// Elementwise loops of much arithmetic over more memory than caches hold.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep::onednn {

/// Calls run(begin, end) over [0, n) in stretches, and asks for the memory of `arrays` a while before their stretch
/// comes. A processor that has some 80 instructions per element before it sees too few elements ahead to do so by
/// itself: GELU of 3 MiB that lie in no cache takes 1.3 ns an element instead of 2.4 (Intel Sapphire Rapids).
template <typename F>
LOCKSTEP_HD void ForEachStretch(int64_t n, F&& run, auto... arrays) {
  constexpr int64_t kStretch = 64, kAhead = 512, kCacheLine = 16;  // in elements
  int64_t begin = 0;
  for (; begin + kStretch <= n; begin += kStretch) {
    for (int64_t line = begin + kAhead; line < begin + kAhead + kStretch; line += kCacheLine)
      (__builtin_prefetch(arrays + line), ...);
    run(begin, begin + kStretch);
  }
  if (begin < n) run(begin, n);
}

}  // namespace lockstep::onednn

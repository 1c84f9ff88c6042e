// Which cells of an image those of its resized copy come from (OpKind::kResizeNearest), along one side.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep::kernels {

/// From `from` cells to `to` cells.
struct ResizedSide {
  int64_t from, to;

  /// The cell that copy `i` is of.
  LOCKSTEP_HD int64_t SourceOf(int64_t i) const { return Divide(i * from, to); }
  /// The first copy of cell `cell`, or of the next that has one; copies end where the next cell's begin.
  LOCKSTEP_HD int64_t FirstCopy(int64_t cell) const { return Divide(cell * to + from - 1, from); }

 private:
  /// In 32 bits where they suffice, which a GPU does several times as fast.
  static LOCKSTEP_HD int64_t Divide(int64_t a, int64_t b) {
    if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
    return a / b;
  }
};

}  // namespace lockstep::kernels

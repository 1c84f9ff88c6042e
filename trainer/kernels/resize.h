// Which cells of an image those of its resized copy come from (OpKind::kResizeNearest, kResizeLinear), along one side.
// All in whole numbers, of which weights are single quotients: alike wherever they are computed.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep::kernels {

/// a / b of numbers that are not negative: in 32 bits where they suffice, which a GPU does several times as fast.
LOCKSTEP_HD int64_t DivideSide(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

/// From `from` cells to `to` cells, each the copy of one.
struct ResizedSide {
  int64_t from, to;

  /// The cell that copy `i` is of.
  LOCKSTEP_HD int64_t SourceOf(int64_t i) const { return DivideSide(i * from, to); }
  /// The first copy of cell `cell`, or of the next that has one; copies end where the next cell's begin.
  LOCKSTEP_HD int64_t FirstCopy(int64_t cell) const { return DivideSide(cell * to + from - 1, from); }
};

/// The two neighbours that a cell is the weighted mean of: `cell` and the next. Behind the last cell there is none, and
/// its weight is 0.
struct LinearSource {
  int64_t cell;
  float weight, next_weight;

  /// What cell `at` counts for; at: `cell` or the next.
  LOCKSTEP_HD float WeightOf(int64_t at) const { return at == cell ? weight : next_weight; }
};

/// From `from` cells to `to` cells, bilinearly: copy i comes from place (step i + shift) / parts.
struct LinearSide {
  int64_t from, to, step, shift, parts;

  LinearSide(int64_t from, int64_t to, bool align_corners)
      : from(from),
        to(to),
        step(align_corners ? from - 1 : 2 * from),
        shift(align_corners ? 0 : from - to),
        parts(!align_corners ? 2 * to
              : to > 1       ? to - 1
                             : 1) {}

  LOCKSTEP_HD LinearSource SourceOf(int64_t i) const {
    const int64_t place = step * i + shift;
    const int64_t cell = place > 0 ? DivideSide(place, parts) : 0, rest = place > 0 ? place - cell * parts : 0;
    if (cell >= from - 1) return {from - 1, 1.0f, 0.0f};
    const auto whole = static_cast<float>(parts);
    return {cell, static_cast<float>(parts - rest) / whole, static_cast<float>(rest) / whole};
  }
  /// The first copy whose source is `cell` or a later one.
  LOCKSTEP_HD int64_t FirstFrom(int64_t cell) const {
    if (cell <= 0) return 0;
    if (cell >= from) return to;
    const int64_t distance = cell * parts - shift;
    const int64_t first = distance > 0 ? DivideSide(distance + step - 1, step) : 0;
    return first < to ? first : to;
  }
  /// The copies that read `cell` are from FirstReader(cell) on, before EndOfReaders(cell).
  LOCKSTEP_HD int64_t FirstReader(int64_t cell) const { return FirstFrom(cell - 1); }
  LOCKSTEP_HD int64_t EndOfReaders(int64_t cell) const { return FirstFrom(cell + 1); }
};

}  // namespace lockstep::kernels

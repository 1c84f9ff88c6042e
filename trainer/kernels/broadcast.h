// How an operand that is broadcast is walked, in the order of the result's elements.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/shape.h"

namespace lockstep::kernels {

/// The result's dimensions, innermost first, with those joined that the operand goes through as through one; steps of
/// the operand by dimension, 0 where it stands still. The innermost step is 0 or 1, and steps are 0 and not 0 in turn.
struct BroadcastWalk {
  int rank = 0;
  int64_t size[Shape::kMaxRank] = {};
  int64_t step[Shape::kMaxRank] = {};

  /// Element i of the result is element i of the operand.
  LOCKSTEP_HD bool contiguous() const { return rank == 1 && step[0] == 1; }
  /// The operand is one number.
  LOCKSTEP_HD bool single() const { return rank == 1 && step[0] == 0; }
};

/// REQUIRES: `operand` broadcasts to `result`.
inline BroadcastWalk WalkOf(const Shape& operand, const Shape& result) {
  BroadcastWalk walk;
  int64_t step = 1;
  for (int i = 1; i <= result.rank(); ++i) {
    if (result.dim(-i) == 1) continue;
    const bool still = i > operand.rank() || operand.dim(-i) == 1;
    if (walk.rank > 0 && (walk.step[walk.rank - 1] == 0) == still) {
      walk.size[walk.rank - 1] *= result.dim(-i);
    } else {
      walk.size[walk.rank] = result.dim(-i);
      walk.step[walk.rank++] = still ? 0 : step;
    }
    if (!still) step *= result.dim(-i);
  }
  if (walk.rank == 0) walk = {.rank = 1, .size = {1}, .step = {1}};
  return walk;
}

}  // namespace lockstep::kernels

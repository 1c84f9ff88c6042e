// The sum of a slice's addends in the order of the lane tree: the one place where gradients of different lanes meet.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/lane_tree.h"

namespace lockstep::comm {

/// The addends of a slice and the order in which to add them: evaluates the lane tree for any part of the slice.
class SliceSum {
 public:
  /// `pieces`: where each addend's element 0 of the slice lies; they outlive this.
  SliceSum(std::vector<const float*> pieces, std::vector<LaneSumStep> order);

  /// sum[i] = the lane-tree sum at element offset + i of the slice. Bits don't depend on how a slice is cut into calls.
  /// Thread-safe. `sum` must not overlap a piece, unless there is one piece, where it may be the same address.
  void Evaluate(int64_t offset, std::span<float> sum) const;

 private:
  void EvaluateBlock(int64_t offset, std::span<float> sum) const;

  std::vector<const float*> pieces_;
  std::vector<LaneSumStep> order_;
};

}  // namespace lockstep::comm

// The sum of a slice's addends in the order of the lane tree: the one place where gradients of different lanes meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/lane_tree.h"
#include "base/shape.h"

namespace lockstep::comm {

/// Element `element` of an array of sums of type `wire`.
float SumAt(const std::byte* sums, int64_t element, DType wire);

/// The addends of a slice and the order in which to add them: evaluates the lane tree for any part of the slice.
///
/// Addends are floats or bf16 (ExchangeOptions::wire). bf16 ones are added as floats, and every sum is rounded to bf16.
class SliceSum {
 public:
  /// `pieces`: where each addend's element 0 of the slice lies; they outlive this.
  SliceSum(std::vector<const std::byte*> pieces, std::vector<LaneSumStep> order, DType wire);
  /// Of floats.
  SliceSum(const std::vector<const float*>& pieces, std::vector<LaneSumStep> order);

  /// sum[i] = the lane-tree sum at element offset + i of the slice. Bits don't depend on how a slice is cut into calls.
  /// Thread-safe. `sum` must not overlap a piece, unless there is one piece, of floats, where it may be the same
  /// address.
  void Evaluate(int64_t offset, std::span<float> sum) const;
  /// The whole slice, in the addends' type: itself an addend elsewhere. `sum` overlaps no piece.
  void Fold(std::span<std::byte> sum) const;

 private:
  template <typename T>
  void EvaluateAs(int64_t offset, std::span<float> sum) const;
  template <typename T>
  void EvaluateBlock(int64_t offset, std::span<float> sum) const;

  std::vector<const std::byte*> pieces_;
  std::vector<LaneSumStep> order_;
  DType wire_;
};

}  // namespace lockstep::comm

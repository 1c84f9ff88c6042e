// Folds the gradients of an executor's lanes, as they come, into its pieces: maximal lane-tree nodes.
//
// A node's lanes come in order, so its sum is a postfix program: push lane, then some additions. The bottom of the
// stack is the piece itself, in the exchange's memory; the entries above it are arenas of this class. One pass per
// bucket adds a lane's gradient to all the stack entries that it completes, while the bucket is still in cache.
//
// Where pieces are bf16, so are the entries above them: gradients and all their sums are rounded once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/lane_tree.h"
#include "base/memory.h"
#include "base/shape.h"
#include "trainer/plan/fold_plan.h"

namespace lockstep::step {

class LaneFold {
 public:
  /// `pieces[i]` is the arena (of `elements` of type `wire`, kF32 or kBF16) of node `nodes[i]`. The nodes tile the
  /// executor's lanes.
  LaneFold(int lanes, std::span<const LaneRange> nodes, std::span<std::byte* const> pieces, int64_t elements,
           DType wire);

  /// Where lane `lane`'s program may write its gradient straight into the piece: the piece's arena where the lane is a
  /// node by itself and pieces are floats, else nullptr.
  float* DirectTarget(int lane) const;

  /// Adds elements [begin, end) of `gradient`, the arena of lane `lane`. Lanes of a node come in ascending order.
  void Add(int lane, int64_t begin, int64_t end, const float* gradient);

 private:
  std::byte* Entry(const plan::FoldLeaf& leaf, int depth) const;
  template <typename T>
  void AddAs(const plan::FoldLeaf& leaf, int64_t begin, int64_t end, const float* gradient);

  int first_lane_ = 0;
  std::vector<plan::FoldLeaf> leaves_;  ///< by lane - first_lane_
  std::vector<std::byte*> pieces_;      ///< by node
  std::vector<Buffer> stack_;           ///< entries 1, 2, ... above the piece
  DType wire_;
};

}  // namespace lockstep::step

// Folds the gradients of an executor's lanes, as they come, into its pieces: maximal lane-tree nodes.
//
// A node's lanes come in order, so its sum is a postfix program: push lane, then some additions. The bottom of the
// stack is the piece itself, in the exchange's memory; the entries above it are arenas of this class. One pass per
// bucket adds a lane's gradient to all the stack entries that it completes, while the bucket is still in cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/lane_tree.h"
#include "base/memory.h"

namespace lockstep::loop {

/// What one lane does to the stack when it comes.
struct FoldLeaf {
  int depth = 0;      ///< entries below it when it comes
  int additions = 0;  ///< stack entries that it completes
  size_t node = 0;    ///< whose sum it is part of

  /// The entry that then holds the sum: 0 is the piece.
  int target() const { return depth - additions; }
};
/// By lane of `nodes`, in order.
std::vector<FoldLeaf> FoldLeaves(int lanes, std::span<const LaneRange> nodes);
/// Whether lane number `index` of `leaves` is a node by itself: its program may write straight into the piece.
bool IsPieceByItself(std::span<const FoldLeaf> leaves, size_t index);

class LaneFold {
 public:
  /// `pieces[i]` is the arena (of `elements` floats) of node `nodes[i]`. The nodes tile the executor's lanes.
  LaneFold(int lanes, std::span<const LaneRange> nodes, std::span<float* const> pieces, int64_t elements);

  /// Where lane `lane`'s program may write its gradient straight into the piece: the piece's arena where the lane is a
  /// node by itself, else nullptr.
  float* DirectTarget(int lane) const;

  /// Adds elements [begin, end) of `gradient`, the arena of lane `lane`. Lanes of a node come in ascending order.
  void Add(int lane, int64_t begin, int64_t end, const float* gradient);

  /// Arenas above the pieces that folding `nodes` needs.
  static int StackEntries(int lanes, std::span<const LaneRange> nodes);

 private:
  float* Entry(const FoldLeaf& leaf, int depth) const;

  int first_lane_ = 0;
  std::vector<FoldLeaf> leaves_;  ///< by lane - first_lane_
  std::vector<float*> pieces_;    ///< by node
  std::vector<Buffer> stack_;     ///< entries 1, 2, ... above the piece
};

}  // namespace lockstep::loop

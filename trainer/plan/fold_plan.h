// In which order an executor adds up its lanes' gradients: a maximal lane-tree node's lanes come in order, so its sum
// is a postfix program, push lane, then some additions. The bottom of the stack is the node's piece. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/lane_tree.h"
#include "base/shape.h"

namespace lockstep::plan {

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
/// Whether lane number `index` of `leaves` first adds the lane before it: the sum of two lanes, and nothing else.
bool AddsLaneBefore(std::span<const FoldLeaf> leaves, size_t index);
/// Whether the program of a rank's or executor's `lanes` writes its gradients straight into the piece: of one lane,
/// where pieces are floats (`wire`). Else it has an arena for them, from which they are folded.
bool WritesIntoPiece(LaneRange lanes, DType wire);
/// Arenas above the pieces that folding `nodes` needs.
int FoldStackEntries(int lanes, std::span<const LaneRange> nodes);

}  // namespace lockstep::plan

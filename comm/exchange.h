// The exchange: lane partial sums go to slice owners, owners add them in lane-tree order, and what they make of the sum
// (new weights) goes back to everyone.
//
// Memory. Each executor of a rank folds its lanes into *pieces* (maximal lane-tree nodes), one gradient arena each, in
// memory that the ranks of the node share. The new weights lie in one arena per node. Owners read the pieces of their
// own node in place. Between nodes, a relay (the local rank that has the owner's number modulo the node's ranks) folds
// its node's pieces of the owner's slice into the node's maximal nodes, and sends those; on the way back it receives
// the owner's new weights into its node's arena.
//
// One step, on the communicating thread:
//
//   Begin(step)                executors compute, and call PieceReady(executor, bucket) as buckets fill
//   Reduce(on_slice)           for each bucket, in order: waits, sums, calls on_slice(owned range, sum's pieces)
//   Share()                    publishes the owned slices of the weight arena; returns when every slice of it is new
//
// `Reduce` may share each bucket as soon as on_slice returns (`share_at_once`): the fused update. With clipping, or
// when a step may be skipped, on_slice only keeps the sum, and Share follows after the global norm is known. Share ends
// every step, also one that is skipped: only then may pieces be written again.
//
// Sums are arithmetic: the communicating thread, and every thread that evaluates a SliceSum, has called
// PrepareComputeThread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/lane_tree.h"
#include "comm/communicator.h"
#include "comm/slice_map.h"

namespace lockstep::comm {

/// The lanes of each executor of each rank: plan[rank][executor]. Runs tile [0, lanes) in order.
using LanePlan = std::vector<std::vector<LaneRange>>;

/// The addends of a slice and the order in which to add them: evaluates the lane tree for any part of the slice.
class SliceSum {
 public:
  SliceSum(std::vector<const float*> pieces, std::vector<LaneSumStep> order);

  /// sum[i] = the lane-tree sum at element offset + i of the slice. Bits don't depend on how a slice is cut into calls.
  /// Thread-safe. `sum` must not overlap a piece, unless there is one piece, where it may be the same address.
  void Evaluate(int64_t offset, std::span<float> sum) const;

 private:
  void EvaluateBlock(int64_t offset, std::span<float> sum) const;

  std::vector<const float*> pieces_;
  std::vector<LaneSumStep> order_;
};

class Exchange {
 public:
  struct Options {
    int lanes = 1;
    LanePlan plan;
    std::vector<ElementRange> buckets;  ///< of the arenas of pieces and weights, both of float
  };

  /// Collective. Allocates the node's shared memory.
  Exchange(Communicator& comm, Options options);
  ~Exchange();

  const SliceMap& slices() const { return slices_; }
  /// The gradient arenas that executor `executor` of this rank folds into, one per maximal node of its lanes, in lane
  /// order.
  std::span<float* const> pieces(int executor) const;
  std::span<const LaneRange> piece_nodes(int executor) const;
  /// The weight arena of this node. A slice is written by its owner only: inside on_slice, between Reduce and Share, or
  /// before ShareNow (while no executor of the node reads it).
  std::span<float> weights() const;

  void Begin(int64_t step);
  /// Called by executor threads: bucket `bucket` of all pieces of `executor` is written, and its weights are not read
  /// any more in this step. Any order.
  void PieceReady(int executor, int bucket);

  /// Sum of one owned slice, not empty: `range` in arena elements, `sum` with offset 0 at range.begin. New weights, if
  /// the caller makes them here, go to weights()[range].
  using OnSlice = std::function<void(int bucket, ElementRange range, const SliceSum& sum)>;
  void Reduce(const OnSlice& on_slice, bool share_at_once);
  /// Publishes what owners wrote to their slices of weights(); returns when all of weights() is new on this node.
  void Share();
  /// Collective, outside of steps: makes owned slices of weights() known to all nodes, e.g. after loading a checkpoint
  /// or swapping EMA weights in.
  void ShareNow();

 private:
  class State;
  SliceMap slices_;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::comm

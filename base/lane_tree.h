// The fixed binary tree over lanes in which every sum over the global batch is taken (DESIGN section 1):
//
//   sum[a, b) = g_a if b - a = 1, else sum[a, m) + sum[m, b), with m = a + the largest power of two < b - a
//
// Whoever holds a contiguous run of lanes folds it into the maximal nodes of the tree that lie wholly in the run; a sum
// of such nodes from any partition of the lanes has the same bits. All functions here are pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

/// Lanes [begin, end).
struct LaneRange {
  int begin = 0;
  int end = 0;

  int size() const { return end - begin; }
  friend bool operator==(const LaneRange&, const LaneRange&) = default;
};

/// Where the tree splits a node. REQUIRES: node.size() >= 2.
int LaneTreeSplit(LaneRange node);

/// The maximal nodes of the tree over [0, lanes) that lie wholly in `run`, in lane order: at most 2 log2(lanes) of
/// them, one when the run is a node itself. REQUIRES: run lies in [0, lanes).
std::vector<LaneRange> MaximalNodes(int lanes, LaneRange run);

/// One step of a sum over nodes, for a stack machine: push node `piece`, or (piece == kAdd) replace the two topmost
/// entries, `left` below `right`, by left + right.
struct LaneSumStep {
  static constexpr int kAdd = -1;
  int piece;
};

/// The order in which `pieces`, nodes of the tree over [0, lanes) that tile `target` without a gap, are added up to the
/// node `target`. The order of `pieces` in the span does not matter. Throws Error(kInternal) where they don't tile it.
std::vector<LaneSumStep> LaneSumOrder(int lanes, LaneRange target, std::span<const LaneRange> pieces);

/// The depth of the stack that `order` needs.
int LaneSumDepth(std::span<const LaneSumStep> order);

/// Deals lanes [0, lanes) to `holders` in order: contiguous runs whose lengths differ by at most one, longer ones
/// first. REQUIRES: 1 <= holders <= lanes.
std::vector<LaneRange> DealLanes(int lanes, int holders);

}  // namespace lockstep

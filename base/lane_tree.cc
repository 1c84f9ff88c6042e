#include "base/lane_tree.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lockstep {
namespace {

bool Contains(LaneRange outer, LaneRange inner) { return outer.begin <= inner.begin && inner.end <= outer.end; }

void AddMaximalNodes(LaneRange node, LaneRange run, std::vector<LaneRange>& nodes) {
  if (node.begin >= run.end || run.begin >= node.end) return;
  if (Contains(run, node)) {
    nodes.push_back(node);
    return;
  }
  const int middle = LaneTreeSplit(node);
  AddMaximalNodes({node.begin, middle}, run, nodes);
  AddMaximalNodes({middle, node.end}, run, nodes);
}

bool IsNode(int lanes, LaneRange range) {
  LaneRange node = {0, lanes};
  while (node != range) {
    if (!Contains(node, range) || node.size() < 2 || range.size() < 1) return false;
    const int middle = LaneTreeSplit(node);
    if (range.end <= middle) {
      node.end = middle;
    } else {
      node.begin = middle;
    }
  }
  return true;
}

/// `by_begin` are the indices of `pieces`, sorted by where the pieces begin; `next` is the first of them not yet used.
void AddSumSteps(LaneRange node, std::span<const LaneRange> pieces, std::span<const int> by_begin, size_t& next,
                 std::vector<LaneSumStep>& order) {
  CHECK(next < by_begin.size(), "no piece holds lanes from {} on", node.begin);
  const LaneRange piece = pieces[static_cast<size_t>(by_begin[next])];
  if (piece == node) {
    order.push_back({by_begin[next++]});
    return;
  }
  CHECK(piece.begin == node.begin && piece.end < node.end, "piece [{}, {}) is no part of node [{}, {}), or overlaps",
        piece.begin, piece.end, node.begin, node.end);
  const int middle = LaneTreeSplit(node);
  AddSumSteps({node.begin, middle}, pieces, by_begin, next, order);
  AddSumSteps({middle, node.end}, pieces, by_begin, next, order);
  order.push_back({LaneSumStep::kAdd});
}

}  // namespace

int LaneTreeSplit(LaneRange node) {
  CHECK(node.size() >= 2, "[{}, {}) is a leaf", node.begin, node.end);
  return node.begin + static_cast<int>(std::bit_floor(static_cast<unsigned>(node.size() - 1)));
}

std::vector<LaneRange> MaximalNodes(int lanes, LaneRange run) {
  CHECK(lanes >= 1 && 0 <= run.begin && run.begin <= run.end && run.end <= lanes, "run [{}, {}) of {} lanes", run.begin,
        run.end, lanes);
  std::vector<LaneRange> nodes;
  if (run.size() > 0) AddMaximalNodes({0, lanes}, run, nodes);
  return nodes;
}

std::vector<LaneSumStep> LaneSumOrder(int lanes, LaneRange target, std::span<const LaneRange> pieces) {
  CHECK(IsNode(lanes, target), "[{}, {}) is no node of the tree over {} lanes", target.begin, target.end, lanes);
  std::vector<int> by_begin(pieces.size());
  for (size_t i = 0; i < by_begin.size(); ++i) by_begin[i] = static_cast<int>(i);
  std::sort(by_begin.begin(), by_begin.end(),
            [&](int a, int b) { return pieces[static_cast<size_t>(a)].begin < pieces[static_cast<size_t>(b)].begin; });
  std::vector<LaneSumStep> order;
  order.reserve(2 * pieces.size());
  size_t next = 0;
  AddSumSteps(target, pieces, by_begin, next, order);
  CHECK(next == pieces.size(), "{} pieces, of which {} tile [{}, {})", pieces.size(), next, target.begin, target.end);
  return order;
}

int LaneSumDepth(std::span<const LaneSumStep> order) {
  int depth = 0, deepest = 0;
  for (LaneSumStep step : order) {
    depth += step.piece == LaneSumStep::kAdd ? -1 : 1;
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

std::vector<LaneRange> DealLanes(int lanes, int holders) {
  CHECK(1 <= holders && holders <= lanes, "{} lanes for {} holders", lanes, holders);
  std::vector<LaneRange> runs;
  int begin = 0;
  for (int holder = 0; holder < holders; ++holder) {
    const int size = lanes / holders + (holder < lanes % holders ? 1 : 0);
    runs.push_back({begin, begin + size});
    begin += size;
  }
  return runs;
}

}  // namespace lockstep

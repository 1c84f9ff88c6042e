#include "trainer/plan/fold_plan.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::plan {

std::vector<FoldLeaf> FoldLeaves(int lanes, std::span<const LaneRange> nodes) {
  std::vector<FoldLeaf> leaves;
  for (size_t n = 0; n < nodes.size(); ++n) {
    std::vector<LaneRange> lanes_of_node;
    for (int lane = nodes[n].begin; lane < nodes[n].end; ++lane) lanes_of_node.push_back({lane, lane + 1});
    int depth = 0;
    for (const LaneSumStep& step : LaneSumOrder(lanes, nodes[n], lanes_of_node)) {
      if (step.piece == LaneSumStep::kAdd) {
        ++leaves.back().additions;
        --depth;
      } else {
        CHECK(nodes.front().begin + static_cast<int>(leaves.size()) ==
              lanes_of_node[static_cast<size_t>(step.piece)].begin);
        leaves.push_back({depth++, 0, n});
      }
    }
  }
  return leaves;
}

bool IsPieceByItself(std::span<const FoldLeaf> leaves, size_t index) {
  const FoldLeaf& leaf = leaves[index];
  return leaf.depth == 0 && leaf.additions == 0 && (index + 1 == leaves.size() || leaves[index + 1].node != leaf.node);
}

bool AddsLaneBefore(std::span<const FoldLeaf> leaves, size_t index) {
  if (index == 0 || index >= leaves.size()) return false;
  const FoldLeaf &before = leaves[index - 1], &leaf = leaves[index];
  return before.node == leaf.node && before.additions == 0 && leaf.additions > 0;
}

bool WritesIntoPiece(LaneRange lanes, DType wire) { return lanes.size() == 1 && wire == DType::kF32; }

int FoldStackEntries(int lanes, std::span<const LaneRange> nodes) {
  // A lane's own entry is never stored while additions wait for it.
  int entries = 0;
  for (const FoldLeaf& leaf : FoldLeaves(lanes, nodes)) entries = std::max(entries, leaf.target());
  return entries;
}

}  // namespace lockstep::plan

#include "trainer/engine/aliases.h"

#include "trainer/graph/op_table.h"

#include <numeric>

namespace lockstep::engine {

std::set<graph::ValueId> GradientArenaValues(const graph::Graph& graph) {
  std::set<graph::ValueId> values;
  for (const auto& [parameter, gradient] : graph.gradients) values.insert(gradient);
  for (const graph::StatisticUpdate& update : graph.statistic_updates) values.insert(update.lane_value);
  return values;
}

std::vector<graph::ValueId> ReshapeRoots(const graph::Graph& graph, const std::set<graph::ValueId>& outside) {
  std::vector<graph::ValueId> roots(graph.values.size());
  std::iota(roots.begin(), roots.end(), 0);
  for (const graph::Op& op : graph.ops) {
    if (!graph::SharesMemory(op.kind) || outside.contains(op.outputs[0])) continue;
    roots[static_cast<size_t>(op.outputs[0])] = roots[static_cast<size_t>(op.inputs[0])];
  }
  return roots;
}

}  // namespace lockstep::engine

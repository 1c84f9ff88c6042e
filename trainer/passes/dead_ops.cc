#include <algorithm>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {

graph::Graph RemoveDeadOps(const graph::Graph& graph) {
  std::vector<bool> read(graph.values.size(), false);
  for (graph::ValueId id : Results(graph)) read[static_cast<size_t>(id)] = true;
  const auto is_read = [&](graph::ValueId id) { return id != graph::kNoValue && read[static_cast<size_t>(id)]; };

  graph::Graph alive = graph;
  alive.ops.clear();
  for (auto op = graph.ops.rbegin(); op != graph.ops.rend(); ++op) {
    if (std::none_of(op->outputs.begin(), op->outputs.end(), is_read)) continue;
    graph::Op kept = *op;
    const std::vector<graph::Operand> outputs = graph::ParseOperands(graph::Row(op->kind).outputs);
    for (size_t i = 0; i < kept.outputs.size(); ++i) {
      if (outputs[i].optional && !is_read(kept.outputs[i])) kept.outputs[i] = graph::kNoValue;
    }
    for (graph::ValueId id : kept.inputs) {
      if (id != graph::kNoValue) read[static_cast<size_t>(id)] = true;
    }
    alive.ops.push_back(std::move(kept));
  }
  std::reverse(alive.ops.begin(), alive.ops.end());
  return alive;
}

}  // namespace lockstep::passes

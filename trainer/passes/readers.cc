#include "trainer/passes/readers.h"

namespace lockstep::passes {

std::vector<graph::ValueId> Results(const graph::Graph& graph) {
  std::vector<graph::ValueId> results;
  for (const graph::Loss& loss : graph.losses) results.push_back(loss.sum);
  for (const graph::Counter& counter : graph.counters) results.push_back(counter.count);
  for (const auto& [name, value] : graph.outputs) results.push_back(value);
  for (const auto& [parameter, gradient] : graph.gradients) results.push_back(gradient);
  for (const graph::StatisticUpdate& update : graph.statistic_updates) results.push_back(update.lane_value);
  return results;
}

std::vector<int> CountReaders(const graph::Graph& graph) {
  std::vector<int> readers(graph.values.size(), 0);
  for (const graph::Op& op : graph.ops) {
    for (graph::ValueId id : op.inputs) {
      if (id != graph::kNoValue) ++readers[static_cast<size_t>(id)];
    }
  }
  for (graph::ValueId id : Results(graph)) ++readers[static_cast<size_t>(id)];
  return readers;
}

}  // namespace lockstep::passes

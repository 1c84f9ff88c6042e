#include "trainer/engine/buckets.h"

#include <algorithm>
#include <map>

#include "trainer/engine/aliases.h"

namespace lockstep::engine {
namespace {

/// The arena entry of everything that lies in one: weights, statistics, and their gradients and lane values.
std::map<graph::ValueId, const ArenaEntry*> ArenaEntries(const graph::Graph& graph, const ParameterLayout& layout) {
  std::map<graph::ValueId, const ArenaEntry*> entries;
  for (graph::ValueId id : graph.parameters) entries[id] = layout.Find(graph.value(id).name);
  for (graph::ValueId id : graph.statistics) entries[id] = layout.Find(graph.value(id).name);
  for (const auto& [parameter, gradient] : graph.gradients) entries[gradient] = entries.at(parameter);
  for (const graph::StatisticUpdate& update : graph.statistic_updates) {
    entries[update.lane_value] = entries.at(update.statistic);
  }
  return entries;
}

}  // namespace

std::vector<int> LastTouch(const graph::Graph& graph, const ParameterLayout& layout,
                           std::span<const ElementRange> buckets) {
  const auto entries = ArenaEntries(graph, layout);
  const std::vector<graph::ValueId> roots = ReshapeRoots(graph, GradientArenaValues(graph));
  std::vector<int> last(buckets.size(), -1);
  const auto touch = [&](graph::ValueId id, int op) {
    if (id == graph::kNoValue) return;
    const auto entry = entries.find(roots[static_cast<size_t>(id)]);
    if (entry == entries.end()) return;
    const int64_t begin = entry->second->offset, end = begin + entry->second->size();
    for (size_t k = 0; k < buckets.size(); ++k) {
      if (buckets[k].begin < end && begin < buckets[k].end) last[k] = op;
    }
  };
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (graph::ValueId id : graph.ops[i].inputs) touch(id, static_cast<int>(i));
    for (graph::ValueId id : graph.ops[i].outputs) touch(id, static_cast<int>(i));
  }
  return last;
}

}  // namespace lockstep::engine

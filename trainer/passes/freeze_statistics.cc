#include <map>

#include "trainer/passes/passes.h"

namespace lockstep::passes {

graph::Graph FreezeStatistics(const graph::Graph& forward, const std::set<std::string>& statistics) {
  graph::Graph frozen = forward;
  std::map<graph::ValueId, graph::ValueId> statistic_of;  // by what a lane adds to it
  for (const graph::StatisticUpdate& update : forward.statistic_updates)
    if (statistics.contains(forward.value(update.statistic).name)) statistic_of[update.lane_value] = update.statistic;
  for (graph::Op& op : frozen.ops) {
    if (op.kind != graph::OpKind::kBatchNormTrain) continue;
    const auto mean = statistic_of.find(op.outputs[1]), variance = statistic_of.find(op.outputs[2]);
    if (mean == statistic_of.end() || variance == statistic_of.end()) continue;
    op.kind = graph::OpKind::kBatchNormInfer;
    op.inputs.insert(op.inputs.end(), {mean->second, variance->second});
    op.outputs.resize(1);
  }
  std::erase_if(frozen.statistic_updates,
                [&](const graph::StatisticUpdate& update) { return statistic_of.contains(update.lane_value); });
  return frozen;
}

}  // namespace lockstep::passes

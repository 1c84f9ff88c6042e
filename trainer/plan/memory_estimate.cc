#include "trainer/plan/memory_estimate.h"

#include <algorithm>

#include "base/lane_tree.h"
#include "trainer/plan/fold_plan.h"

namespace lockstep::plan {

MemoryEstimate EstimateMemory(const JobPlans& plans, int lanes, const comm::LanePlan& plan, int rank, int state_arrays,
                              bool saves) {
  const int64_t arena = plans.layout.elements() * static_cast<int64_t>(sizeof(float));
  MemoryEstimate estimate;
  // An executor's programs share their memory, save the packed weights.
  int64_t activations = 0, workspace = 0;
  for (const auto* programs : {&plans.train, &plans.evaluate}) {
    for (const auto& program : *programs) {
      activations = std::max(activations, program->memory.bytes);
      workspace = std::max(workspace, static_cast<int64_t>(program->workspace_bytes));
    }
    estimate.packed += static_cast<int64_t>(engine::PackedBytes(*programs));
  }
  estimate.weights = arena;
  for (const LaneRange& run : plan[static_cast<size_t>(rank)]) {
    const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
    const int64_t own = run.size() == 1 ? 0 : 1;  // one lane writes straight into its piece
    estimate.gradients += arena * (static_cast<int64_t>(nodes.size()) + own + FoldStackEntries(lanes, nodes));
    estimate.activations += activations + workspace;
  }
  estimate.optimizer = arena * state_arrays / static_cast<int64_t>(plan.size());
  if (saves) estimate.checkpoint = arena * (state_arrays + 1) / static_cast<int64_t>(plan.size());
  return estimate;
}

int64_t BytesOf(const data::Dataset& dataset) {
  if (dataset.ragged()) return 0;  // files are read when they are needed, or small
  int64_t sample = 0;
  for (const data::Field& field : dataset.fields()) sample += field.shape.size() * SizeOf(field.dtype);
  return sample * static_cast<int64_t>(dataset.size());
}

}  // namespace lockstep::plan

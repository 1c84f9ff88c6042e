#include "trainer/loop/memory_estimate.h"

#include <algorithm>

#include "base/lane_tree.h"
#include "trainer/loop/lane_fold.h"

namespace lockstep::loop {

MemoryEstimate EstimateMemory(const engine::ParameterLayout& layout, const engine::ProgramPlan& train,
                              const engine::ProgramPlan& evaluate, int lanes, const comm::LanePlan& plan, int rank,
                              int state_arrays, bool saves) {
  const int64_t arena = layout.elements() * static_cast<int64_t>(sizeof(float));
  MemoryEstimate estimate;
  estimate.weights = arena;
  for (const LaneRange& run : plan[static_cast<size_t>(rank)]) {
    const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
    const int64_t own = run.size() == 1 ? 0 : 1;  // one lane writes straight into its piece
    estimate.gradients += arena * (static_cast<int64_t>(nodes.size()) + own + LaneFold::StackEntries(lanes, nodes));
    estimate.activations += std::max(train.memory.bytes, evaluate.memory.bytes) +
                            static_cast<int64_t>(std::max(train.workspace_bytes, evaluate.workspace_bytes));
  }
  estimate.optimizer = arena * state_arrays / static_cast<int64_t>(plan.size());
  if (saves) estimate.checkpoint = arena * (state_arrays + 1) / static_cast<int64_t>(plan.size());
  estimate.packed = static_cast<int64_t>(train.packed_bytes + evaluate.packed_bytes);
  return estimate;
}

int64_t BytesOf(const data::Dataset& dataset) {
  int64_t sample = 0;
  for (const data::Field& field : dataset.fields()) sample += field.shape.size() * SizeOf(field.dtype);
  return sample * static_cast<int64_t>(dataset.size());
}

}  // namespace lockstep::loop

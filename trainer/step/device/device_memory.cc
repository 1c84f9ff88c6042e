#include "trainer/step/device/device_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "comm/device/device_exchange.h"
#include "comm/slice_map.h"
#include "trainer/optim/gradient_kernels.h"
#include "trainer/plan/fold_plan.h"

namespace lockstep::step {
namespace {

std::string Mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

/// What DeviceExchange, DeviceLanes and DeviceCompute allocate besides arenas.
int64_t TableBytes(const plan::JobPlans& plans, size_t pieces, size_t segments) {
  const auto chunks = static_cast<size_t>(plans.layout.elements() / kChunkElements);
  const size_t bytes = comm::DeviceExchange::TableBytes(pieces, plans.buckets.size()) + 3 * sizeof(optim::FoldStep) +
                       segments * sizeof(optim::SegmentRules) + sizeof(optim::StepOutcome) +
                       chunks * (sizeof(optim::ChunkRecord) + sizeof(uint64_t));
  return static_cast<int64_t>(bytes);
}

}  // namespace

std::string DeviceMemoryPlan::ToString() const {
  return fmt::format(
      "parameters {}, gradients {}, optimizer {}, activations {}, workspace {}, packed weights {}, inputs {}, "
      "tables {}",
      Mebibytes(parameters), Mebibytes(gradients), Mebibytes(optimizer), Mebibytes(activations), Mebibytes(workspace),
      Mebibytes(packed), Mebibytes(inputs), Mebibytes(tables));
}

DeviceMemoryPlan PlanDeviceMemory(const plan::RunConfig& config, const plan::JobPlans& plans, LaneRange run, int rank,
                                  int world_size) {
  const int lanes = static_cast<int>(config.train.lanes());
  const int64_t arena = plans.layout.elements() * static_cast<int64_t>(sizeof(float));
  const comm::SliceMap slices(plans.buckets, world_size);
  const optim::Optimizer optimizer = plan::MakeOptimizer(config, plans);
  const bool two_passes = plan::KeepsSums(optimizer, config.train);

  const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
  int64_t foreign = 0, largest_slice = 0;
  const std::vector<LaneRange> runs = DealLanes(lanes, world_size);
  for (int other = 0; other < world_size; ++other)
    if (other != rank) foreign += static_cast<int64_t>(MaximalNodes(lanes, runs[static_cast<size_t>(other)]).size());
  for (int bucket = 0; bucket < slices.buckets(); ++bucket)
    largest_slice = std::max(largest_slice, slices.slice(bucket, rank).size());

  DeviceMemoryPlan plan;
  plan.parameters = arena;
  const DType wire = plan::WireType(config.train);
  const int64_t sums = static_cast<int64_t>(nodes.size()) + plan::FoldStackEntries(lanes, nodes);
  plan.gradients = (plans.layout.elements() * sums + foreign * largest_slice) * SizeOf(wire);
  if (!plan::WritesIntoPiece(run, wire)) plan.gradients += arena;
  const auto arrays = static_cast<int64_t>(plan::StateArrays(optimizer, config.train).size()) + (two_passes ? 1 : 0);
  plan.optimizer = arrays * slices.owned(rank) * static_cast<int64_t>(sizeof(float));
  for (const auto* programs : {&plans.train, &plans.evaluate}) {
    // A batch or two on their way up have room for any shape's.
    const int64_t slots = programs == &plans.train ? 2 : 1;
    int64_t largest = 0;
    for (const auto& program : *programs) {
      const auto inputs = static_cast<int64_t>(program->input_bytes);
      plan.activations = std::max(plan.activations, program->memory.bytes);
      plan.workspace = std::max(plan.workspace, static_cast<int64_t>(program->workspace_bytes));
      plan.packed += static_cast<int64_t>(program->packed_bytes);
      plan.inputs += inputs;
      largest = std::max(largest, inputs);
    }
    plan.inputs += slots * largest;
  }
  plan.tables = TableBytes(plans, nodes.size() + static_cast<size_t>(foreign), optimizer.Rules(0, 0).size());
  if (!plan::WritesIntoPiece(run, wire))
    plan.tables += static_cast<int64_t>(plans.layout.entries().size() * sizeof(ElementRange));
  return plan;
}

void CheckDeviceMemory(lockstep::Device& device, const DeviceMemoryPlan& plan) {
  const auto free = static_cast<int64_t>(device.free_memory());
  if (plan.all() <= free) return;
  throw Error(ErrorKind::kMemory,
              fmt::format("{} of device memory are needed and {} are free: {}", Mebibytes(plan.all()), Mebibytes(free),
                          plan.ToString()),
              device.info().name,
              "use more GPUs, a smaller train.global_batch, more train.lanes or a smaller train.evaluation_block");
}

}  // namespace lockstep::step

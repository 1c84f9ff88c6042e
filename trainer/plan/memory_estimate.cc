#include "trainer/plan/memory_estimate.h"

#include <algorithm>

#include "base/error.h"
#include "base/lane_tree.h"
#include "data/batches/loader.h"
#include "trainer/plan/fold_plan.h"

namespace lockstep::plan {
namespace {

/// Lane batches that the loader keeps ready, and what executors' programs read them from.
int64_t BatchBytes(const MemoryParts& parts, int rank) {
  const auto& runs = parts.lanes[static_cast<size_t>(rank)];
  const int lanes = runs.back().end - runs.front().begin;
  const int64_t batches = int64_t{data::BatchesALane(lanes)} * lanes;
  int64_t largest = 0, programs = 0;
  for (const auto& program : parts.plans.train) {
    largest = std::max(largest, static_cast<int64_t>(program->input_bytes));
    programs += static_cast<int64_t>(program->input_bytes);
  }
  for (const auto& program : parts.plans.evaluate) programs += static_cast<int64_t>(program->input_bytes);
  return batches * largest + static_cast<int64_t>(runs.size()) * programs;
}

/// What `rank` sums of the pieces of others on its host, which are `local_ranks` ranks from the first on.
int64_t PeersBytes(const MemoryParts& parts, int rank, int local_ranks) {
  const auto lanes = static_cast<int>(parts.config.train.lanes());
  int64_t pieces = 0;
  for (int other = 0; other < local_ranks; ++other)
    for (const LaneRange& run : parts.lanes[static_cast<size_t>(other)])
      if (other != rank) pieces += static_cast<int64_t>(MaximalNodes(lanes, run).size());
  return pieces * parts.plans.layout.elements() * SizeOf(WireType(parts.config.train)) /
         static_cast<int64_t>(parts.lanes.size());
}

std::string Mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

}  // namespace

MemoryEstimate EstimateMemory(const JobPlans& plans, const comm::ExchangeOptions& ranks, int rank, int state_arrays,
                              bool saves) {
  const int64_t arena = plans.layout.elements() * static_cast<int64_t>(sizeof(float));
  const int64_t sums = plans.layout.elements() * SizeOf(ranks.wire);
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
  for (const LaneRange& run : ranks.plan[static_cast<size_t>(rank)]) {
    const std::vector<LaneRange> nodes = MaximalNodes(ranks.lanes, run);
    estimate.gradients += sums * (static_cast<int64_t>(nodes.size()) + FoldStackEntries(ranks.lanes, nodes));
    if (!WritesIntoPiece(run, ranks.wire)) estimate.gradients += arena;
    estimate.activations += activations + workspace;
  }
  estimate.optimizer = arena * state_arrays / static_cast<int64_t>(ranks.plan.size());
  if (saves) estimate.checkpoint = arena * (state_arrays + 1) / static_cast<int64_t>(ranks.plan.size());
  return estimate;
}

MemoryEstimate EstimateRank(const MemoryParts& parts, int rank, int local_ranks) {
  const RunConfig& config = parts.config;
  const optim::Optimizer optimizer = MakeOptimizer(config, parts.plans);
  const int arrays =
      static_cast<int>(StateArrays(optimizer, config.train).size()) + (KeepsSums(optimizer, config.train) ? 1 : 0);
  MemoryEstimate estimate = EstimateMemory(parts.plans, MakeExchangeOptions(config.train, parts.plans, parts.lanes),
                                           rank, arrays, SavesMeanwhile(config.checkpoint));
  for (const auto& split : {parts.splits.train, parts.splits.validation, parts.splits.test})
    if (split) estimate.data += static_cast<int64_t>(split->traits().held_bytes);
  estimate.batches = BatchBytes(parts, rank);
  estimate.peers = PeersBytes(parts, rank, local_ranks);
  return estimate;
}

void CheckMemory(const RunConfig& config, const Splits& splits, const JobPlans& plans, const comm::LanePlan& plan,
                 const std::vector<int>& local_ranks, size_t limit) {
  MemoryEstimate host;
  for (int rank : local_ranks) {
    const MemoryEstimate mine = EstimateRank({config, splits, plans, plan}, rank, static_cast<int>(local_ranks.size()));
    host.weights = mine.weights;
    host.gradients += mine.gradients;
    host.optimizer += mine.optimizer;
    host.activations += mine.activations;
    host.packed += mine.packed;
    host.checkpoint += mine.checkpoint;
    host.data += mine.data;
    host.batches += mine.batches;
  }
  const int64_t need = host.weights + host.rank();
  if (need <= static_cast<int64_t>(limit)) return;
  throw Error(ErrorKind::kMemory,
              fmt::format("{} rank{} on this host need {}: weights {}, gradients {}, optimizer {}, activations {}, "
                          "packed weights {}, copy for checkpoints {}, data {}, batches {}; "
                          "the limit is {}",
                          local_ranks.size(), local_ranks.size() == 1 ? "" : "s", Mebibytes(need),
                          Mebibytes(host.weights), Mebibytes(host.gradients), Mebibytes(host.optimizer),
                          Mebibytes(host.activations), Mebibytes(host.packed), Mebibytes(host.checkpoint),
                          Mebibytes(host.data), Mebibytes(host.batches), Mebibytes(static_cast<int64_t>(limit))),
              "", "use fewer executors (--executors), more hosts, a smaller train.global_batch or more train.lanes");
}

}  // namespace lockstep::plan

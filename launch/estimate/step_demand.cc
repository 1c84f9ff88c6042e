#include "launch/estimate/step_demand.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include "base/lane_tree.h"
#include "data/batches/loader.h"

namespace lockstep::launch {
namespace {

constexpr uint64_t kSteps = 48;
constexpr double kLoadingSeconds = 0.25;

ProgramWork WorkOfProgram(const engine::ProgramPlan& plan) {
  ProgramWork work;
  // As Program::Run: a value that is reshaped where it lies takes no time.
  for (const graph::Op& op : plan.graph.ops) {
    if (op.kind == graph::OpKind::kReshape) continue;
    work.ops.push_back(WorkOf(plan.graph, op));
    if (static_cast<size_t>(&op - plan.graph.ops.data()) < plan.forward_ops) work.forward_ops = work.ops.size();
  }
  work.input_bytes = static_cast<double>(plan.input_bytes);
  work.packed_bytes = static_cast<double>(plan.packed_bytes);
  return work;
}

std::vector<std::vector<std::vector<int>>> StepsOf(const run::Job& job, const comm::LanePlan& plan) {
  const bool ragged = job.splits.batches->shapes().size() > 1;
  const uint64_t count = ragged ? std::min(kSteps, job.splits.length.total_steps) : 1;
  std::vector<std::vector<std::vector<int>>> steps;
  data::LaneSamples samples;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t step = i * job.splits.length.total_steps / count;
    std::vector<std::vector<int>>& executors = steps.emplace_back();
    for (const auto& rank : plan)
      for (const LaneRange& run : rank) {
        std::vector<int>& shapes = executors.emplace_back();
        for (int lane = run.begin; lane < run.end; ++lane) {
          if (ragged) job.splits.batches->Lane(step, lane, samples);
          shapes.push_back(samples.shape);
        }
      }
  }
  return steps;
}

/// Buckets that become ready with the last op that makes any ready, of all.
double LastShare(const engine::ProgramPlan& plan) {
  size_t all = plan.buckets_at_start.size(), last = all;
  for (const std::vector<int>& ready : plan.buckets_after) {
    all += ready.size();
    if (!ready.empty()) last = ready.size();
  }
  return all == 0 ? 1 : static_cast<double>(last) / static_cast<double>(all);
}

/// Seconds of the processor in which a lane's batch is made, whatever else runs: the mean behind the first ones.
double LaneLoading(const run::Job& job, const plan::JobPlans& plans) {
  data::Loader::Options options;
  options.dataset = job.splits.train;
  options.transform = job.splits.transform;
  options.batches = job.splits.batches;
  options.mine = {0, 1};
  options.end_step = job.splits.length.total_steps;
  options.rounded = plan::RoundedInputs(*plans.train.front());
  data::Loader loader(std::move(options));
  using Clock = std::chrono::steady_clock;
  const auto take = [&](uint64_t step) { loader.Release(loader.Acquire(step, 0)); };
  constexpr uint64_t kAhead = 4;  // that the loader had ready before it was asked
  const uint64_t most = std::min<uint64_t>(200, job.splits.length.total_steps);
  uint64_t step = 0;
  while (step < std::min(kAhead, most)) take(step++);
  if (step == most) return 0;
  const auto begin = Clock::now();
  const std::clock_t computed = std::clock();
  uint64_t taken = 0;
  for (; step < most && Clock::now() - begin < std::chrono::duration<double>(kLoadingSeconds); ++taken) take(step++);
  return static_cast<double>(std::clock() - computed) / CLOCKS_PER_SEC / static_cast<double>(taken);
}

}  // namespace

StepDemand DemandOf(const run::Job& job, const plan::JobPlans& plans, const PlannedRanks& ranks) {
  StepDemand demand;
  for (const auto& program : plans.train) demand.programs.push_back(WorkOfProgram(*program));
  demand.steps = StepsOf(job, ranks.lanes);
  demand.ranks = ranks.ranks();
  demand.ranks_per_host = ranks.per_host();
  demand.executors_per_host = 0;
  demand.pieces = ranks.hosts - 1;
  const auto lanes = static_cast<int>(job.config.train.lanes());
  for (int rank = 0; rank < ranks.per_host(); ++rank) {
    const auto& executors = ranks.lanes[static_cast<size_t>(rank)];
    demand.executors_per_host += static_cast<int>(executors.size());
    for (const LaneRange& run : executors) demand.pieces += static_cast<int>(MaximalNodes(lanes, run).size());
  }
  demand.wire = plan::WireType(job.config.train);
  demand.elements = static_cast<double>(plans.layout.elements());
  const optim::Optimizer optimizer = plan::MakeOptimizer(job.config, plans);
  demand.state_arrays = static_cast<int>(optimizer.state_names().size());
  demand.updates_at_end = plan::KeepsSums(optimizer, job.config.train);
  demand.last_share = LastShare(*plans.train.back());
  demand.lane_loading = LaneLoading(job, plans);
  demand.loader_threads = static_cast<int>(std::max(1u, job.config.data.threads()));
  return demand;
}

}  // namespace lockstep::launch

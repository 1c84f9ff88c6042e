#include "launch/estimate/step_estimate.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "trainer/plan/fold_plan.h"

namespace lockstep::launch {
namespace {

struct LaneSeconds {
  double forward = 0, backward = 0, arithmetic = 0;

  double all() const { return forward + backward; }
  void Add(const LaneSeconds& other) {
    forward += other.forward;
    backward += other.backward;
    arithmetic += other.arithmetic;
  }
};

LaneSeconds SecondsOf(const ProgramWork& program, const OpTimes& times) {
  LaneSeconds lane;
  lane.forward = times.Seconds(InputWork(program.input_bytes));
  for (size_t i = 0; i < program.ops.size(); ++i) {
    const double seconds = times.Seconds(program.ops[i]);
    (i < program.forward_ops ? lane.forward : lane.backward) += seconds;
    if (times.ArithmeticBound(program.ops[i])) lane.arithmetic += seconds;
  }
  return lane;
}

/// The slowest executor's lanes, mean over the steps; `lanes` is how many a host has in one.
LaneSeconds SlowestLanes(const StepDemand& demand, const OpTimes& times) {
  std::vector<LaneSeconds> programs;
  for (const ProgramWork& program : demand.programs) programs.push_back(SecondsOf(program, times));
  const double fold = times.Seconds(FoldWork(demand.elements));
  LaneSeconds mean;
  for (const auto& step : demand.steps) {
    LaneSeconds slowest;
    for (const auto& executor : step) {
      LaneSeconds all;
      for (const int shape : executor) {
        all.Add(programs.at(static_cast<size_t>(shape)));
        if (!plan::WritesIntoPiece({0, static_cast<int>(executor.size())}, demand.wire)) all.backward += fold;
      }
      if (all.all() > slowest.all()) slowest = all;
    }
    mean.Add(slowest);
  }
  const auto steps = static_cast<double>(demand.steps.size());
  return {mean.forward / steps, mean.backward / steps, mean.arithmetic / steps};
}

double LanesOfHost(const StepDemand& demand) {
  double lanes = 0;
  for (const auto& executor : demand.steps.front()) lanes += static_cast<double>(executor.size());
  return lanes * demand.ranks_per_host / demand.ranks;
}

/// What sums and updates add to the step.
double ExposedUpdate(const StepDemand& demand, const MachineRecord& machine, const OpTimes& times, double backward) {
  const double update = times.Seconds(UpdateWork(demand.elements / demand.ranks, demand.pieces, demand.state_arrays));
  const int executors = std::max(1, demand.executors_per_host / demand.ranks_per_host);
  // Behind the lanes the executors update, each a part.
  if (demand.updates_at_end) return update / executors;
  const bool beside = machine.cores - demand.executors_per_host >= demand.ranks_per_host;
  if (!beside) return update * demand.ranks_per_host / std::min(machine.cores, demand.executors_per_host);
  return std::max(update * demand.last_share, update - backward);
}

double ExposedLoading(const StepDemand& demand, const MachineRecord& machine, double lanes) {
  const double work = demand.lane_loading * LanesOfHost(demand);
  const int spare = machine.cores - demand.executors_per_host;
  if (spare <= 0) return work / machine.cores;
  const int threads = std::min(spare, demand.loader_threads * demand.ranks_per_host);
  return std::max(0.0, work / threads - lanes);
}

void SayWhatBounds(StepEstimate& estimate) {
  const double memory = estimate.step - estimate.arithmetic - estimate.loading - estimate.exchange - estimate.other;
  const std::pair<double, const char*> parts[] = {{estimate.arithmetic, "arithmetic"},
                                                  {memory, "memory"},
                                                  {estimate.loading, "loading"},
                                                  {estimate.exchange, "exchange"},
                                                  {estimate.other, "starting and ending steps"}};
  estimate.bound = std::max_element(std::begin(parts), std::end(parts), [](const auto& a, const auto& b) {
                     return a.first < b.first;
                   })->second;
}

}  // namespace

StepEstimate EstimateStep(const StepDemand& demand, const MachineRecord& machine) {
  CHECK(!demand.steps.empty() && !demand.programs.empty());
  const OpTimes times(machine, demand.executors_per_host);
  const LaneSeconds lanes = SlowestLanes(demand, times);
  StepEstimate estimate;
  const double packed = demand.programs.back().packed_bytes;
  if (packed > 0)
    estimate.prepare = times.Seconds(PackWork(packed)) * demand.ranks_per_host / demand.executors_per_host;
  estimate.forward = lanes.forward;
  estimate.backward = lanes.backward;
  estimate.arithmetic = lanes.arithmetic;
  estimate.update = ExposedUpdate(demand, machine, times, lanes.backward);
  estimate.loading = ExposedLoading(demand, machine, lanes.all());
  estimate.other = machine.step_overhead;
  estimate.step = estimate.prepare + estimate.loading + estimate.forward + estimate.backward + estimate.update +
                  estimate.exchange + estimate.other;
  SayWhatBounds(estimate);
  std::set<std::string> guessed;
  for (const ProgramWork& program : demand.programs)
    for (const OpWork& op : program.ops)
      if (!times.Knows(op.kind)) guessed.insert(op.kind);
  estimate.guessed.assign(guessed.begin(), guessed.end());
  return estimate;
}

}  // namespace lockstep::launch

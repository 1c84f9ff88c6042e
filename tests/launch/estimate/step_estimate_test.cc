// What a step is estimated to take, against sums done by hand.
#include "launch/estimate/step_estimate.h"

#include <gtest/gtest.h>

namespace lockstep::launch {
namespace {

constexpr double kForward = 0.010, kBackward = 0.020, kUpdateOfMillion = 0.004, kFold = 0.003, kPack = 0.001;
constexpr double kElements = 1e6;

OpWork Linear(const char* kind) { return {.kind = kind, .flops = 1e9, .bytes = 1e6, .shape = {1e5, 100, 100, 1000}}; }

/// A machine that has measured just what the steps below are made of, as fast on all cores as on one.
MachineRecord Machine(int cores) {
  MachineRecord machine;
  machine.cores = cores;
  machine.alone = machine.together = {100, 10};
  machine.step_overhead = 0.0005;
  const auto add = [&](const OpWork& work, double seconds) { machine.ops.push_back({work, seconds, seconds}); };
  add(Linear("linear"), kForward);
  add(Linear("linear_weight_grad"), kBackward);
  add(UpdateWork(kElements, 1, 2), kUpdateOfMillion);
  add(FoldWork(kElements), kFold);
  add(PackWork(1e6), kPack);
  add(InputWork(0), 1e-9);
  return machine;
}

/// A rank with one executor that has `lanes` lanes.
StepDemand Demand(int lanes) {
  StepDemand demand;
  demand.programs = {{.ops = {Linear("linear"), Linear("linear_weight_grad")}, .forward_ops = 1}};
  demand.steps = {{std::vector<int>(static_cast<size_t>(lanes), 0)}};
  demand.elements = kElements;
  demand.state_arrays = 2;
  demand.last_share = 0.1;
  return demand;
}

double Parts(const StepEstimate& estimate) {
  return estimate.prepare + estimate.loading + estimate.forward + estimate.backward + estimate.update +
         estimate.exchange + estimate.other;
}

TEST(StepEstimate, IsTheSumOfItsParts) {
  const StepEstimate one = EstimateStep(Demand(1), Machine(1));
  EXPECT_NEAR(one.forward, kForward, 1e-4);
  EXPECT_NEAR(one.backward, kBackward, 1e-4);
  EXPECT_NEAR(one.update, kUpdateOfMillion, 1e-5);
  EXPECT_DOUBLE_EQ(one.other, 0.0005);
  EXPECT_DOUBLE_EQ(one.prepare, 0);
  EXPECT_DOUBLE_EQ(one.step, Parts(one));
  EXPECT_EQ(one.bound, "arithmetic");
  EXPECT_TRUE(one.guessed.empty());
}

TEST(StepEstimate, LanesOfAnExecutorComeOneAfterTheOtherAndAreAddedUp) {
  const StepEstimate three = EstimateStep(Demand(3), Machine(1));
  EXPECT_NEAR(three.forward, 3 * kForward, 1e-4);
  EXPECT_NEAR(three.backward, 3 * (kBackward + kFold), 1e-4);
}

TEST(StepEstimate, TheSlowestExecutorDecides) {
  StepDemand demand = Demand(1);
  demand.steps = {{{0, 0}, {0}}};
  demand.executors_per_host = 2;
  const StepEstimate estimate = EstimateStep(demand, Machine(2));
  EXPECT_NEAR(estimate.forward, 2 * kForward, 1e-4);
  // Of steps that differ, the mean.
  demand.steps.push_back({{0}, {0}});
  EXPECT_NEAR(EstimateStep(demand, Machine(2)).forward, 1.5 * kForward, 1e-4);
}

TEST(StepEstimate, UpdatesHideBesideLanesWhereACoreIsLeft) {
  EXPECT_NEAR(EstimateStep(Demand(1), Machine(1)).update, kUpdateOfMillion, 1e-5);
  EXPECT_NEAR(EstimateStep(Demand(1), Machine(2)).update, kUpdateOfMillion / 10, 1e-5);  // the last bucket's
  StepDemand clips = Demand(1);
  clips.updates_at_end = true;
  EXPECT_NEAR(EstimateStep(clips, Machine(2)).update, kUpdateOfMillion, 1e-5);
}

TEST(StepEstimate, RanksShareTheUpdate) {
  StepDemand demand = Demand(1);
  demand.steps = {{{0}, {0}}};
  demand.ranks = demand.ranks_per_host = demand.executors_per_host = 2;
  const StepEstimate two = EstimateStep(demand, Machine(2));
  EXPECT_NEAR(two.forward, kForward, 1e-4);
  EXPECT_NEAR(two.update, kUpdateOfMillion / 2, 0.1 * kUpdateOfMillion);
}

TEST(StepEstimate, LoadingHidesUntilItTakesLongerThanLanes) {
  StepDemand demand = Demand(1);
  demand.lane_loading = 0.02;
  EXPECT_DOUBLE_EQ(EstimateStep(demand, Machine(2)).loading, 0);
  EXPECT_NEAR(EstimateStep(demand, Machine(1)).loading, 0.02, 1e-9);  // the only core
  demand.lane_loading = 0.1;
  const StepEstimate slow = EstimateStep(demand, Machine(2));
  EXPECT_NEAR(slow.loading, 0.1 - kForward - kBackward, 1e-4);
  EXPECT_EQ(slow.bound, "loading");
  EXPECT_DOUBLE_EQ(slow.step, Parts(slow));
  demand.loader_threads = 4;
  EXPECT_DOUBLE_EQ(EstimateStep(demand, Machine(8)).loading, 0);
}

TEST(StepEstimate, KindsThatWereNotMeasuredAreNamed) {
  StepDemand demand = Demand(1);
  demand.programs[0].ops.push_back(Linear("lstm"));
  const StepEstimate estimate = EstimateStep(demand, Machine(1));
  EXPECT_EQ(estimate.guessed, std::vector<std::string>{"lstm"});
  EXPECT_GT(estimate.backward, kBackward + 0.005);
}

}  // namespace
}  // namespace lockstep::launch

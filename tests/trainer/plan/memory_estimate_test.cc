// What the plan says about memory, against what is allocated.
#include "trainer/plan/memory_estimate.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "comm/local/local_communicator.h"
#include "comm/slice_map.h"
#include "data/open/open_dataset.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/step/lane_fold.h"

namespace lockstep::plan {
namespace {

engine::ParameterLayout LayoutOf(int64_t in, int64_t out) {
  graph::Builder builder(graph::Mode::kTrain, 1);
  builder.SoftmaxCrossEntropy(builder.Linear(builder.Input("features", {in}, DType::kF32), "fc", out, true, {}), 0);
  return engine::ParameterLayout(builder.Finish());
}

int64_t AddressSpaceInUse() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

JobPlans PlansOf(const engine::ParameterLayout& layout, const engine::ProgramPlan& train,
                 const engine::ProgramPlan& evaluate) {
  JobPlans plans{{}, layout, {}, {}, {}, {}};
  plans.train.push_back(std::make_shared<engine::ProgramPlan>(train));
  plans.evaluate.push_back(std::make_shared<engine::ProgramPlan>(evaluate));
  return plans;
}

TEST(MemoryEstimate, OfGradientsIsWhatExchangeAndFoldsAllocate) {
  constexpr int kLanes = 8;
  const engine::ParameterLayout layout = LayoutOf(2048, 1000);
  const int64_t arena = layout.elements() * static_cast<int64_t>(sizeof(float));  // 8 MiB: dwarfs everything else
  for (const auto& [executors, wire] : {std::pair{1, DType::kF32},
                                        {2, DType::kF32},
                                        {3, DType::kF32},
                                        {5, DType::kF32},
                                        {8, DType::kF32},
                                        {1, DType::kBF16},
                                        {3, DType::kBF16},
                                        {8, DType::kBF16}}) {
    const comm::LanePlan plan = PlanLanes(kLanes, {executors});
    const auto world = comm::MakeLocalWorld({});
    const int64_t before = AddressSpaceInUse();
    const comm::ExchangeOptions options = {kLanes, plan, comm::CutBuckets(layout.elements(), layout.elements()), wire};
    comm::Exchange exchange(*world.front(), options);
    std::vector<step::LaneFold> folds;
    std::vector<Buffer> gradients;
    for (int e = 0; e < executors; ++e) {
      const LaneRange run = plan[0][static_cast<size_t>(e)];
      folds.emplace_back(kLanes, exchange.piece_nodes(e), exchange.pieces(e), layout.elements(), wire);
      if (run.size() > 1 || wire == DType::kBF16) gradients.emplace_back(static_cast<size_t>(arena));
    }
    const int64_t allocated = AddressSpaceInUse() - before;
    const MemoryEstimate estimate = EstimateMemory(PlansOf(layout, {}, {}), options, 0, 0, false);
    EXPECT_EQ(estimate.weights, arena);
    EXPECT_NEAR(static_cast<double>(allocated) / static_cast<double>(arena),
                static_cast<double>(estimate.weights + estimate.gradients) / static_cast<double>(arena), 0.5)
        << executors << " executors, " << Name(wire);
  }
}

TEST(MemoryEstimate, CountsWhatRanksAndExecutorsEachHold) {
  const engine::ParameterLayout layout = LayoutOf(100, 100);
  const int64_t arena = layout.elements() * static_cast<int64_t>(sizeof(float));
  engine::ProgramPlan train, evaluate;
  train.memory.bytes = 1000;
  train.workspace_bytes = 50;
  train.copies = {{.bytes = 7}};
  evaluate.memory.bytes = 3000;
  evaluate.workspace_bytes = 20;
  evaluate.copies = {{.bytes = 8}};
  const comm::LanePlan plan = PlanLanes(8, {2, 4});
  const JobPlans plans = PlansOf(layout, train, evaluate);
  const MemoryEstimate two = EstimateMemory(plans, {8, plan, {}}, 0, 3, false);
  EXPECT_EQ(two.activations, 2 * 3050);
  EXPECT_EQ(two.packed, 15);
  EXPECT_EQ(two.optimizer, 3 * arena / 2);
  EXPECT_EQ(two.gradients, 2 * 2 * arena);  // of two lanes each: the piece and the lane's own
  const MemoryEstimate four = EstimateMemory(plans, {8, plan, {}}, 1, 3, true);
  EXPECT_EQ(four.activations, 4 * 3050);
  EXPECT_EQ(four.gradients, 4 * arena);  // lanes write straight into their pieces
  EXPECT_EQ(two.checkpoint, 0);
  EXPECT_EQ(four.checkpoint, 4 * arena / 2);  // three arrays and the weights, of half the arena
  EXPECT_EQ(four.rank(), four.gradients + four.optimizer + four.activations + four.packed + four.checkpoint);
  EXPECT_EQ(two.rank(), two.gradients + two.optimizer + two.activations + two.packed);
}

}  // namespace
}  // namespace lockstep::plan

// What a rank's process holds beside its plan.
#include "launch/estimate/process_memory.h"

#include <gtest/gtest.h>

#include "trainer/graph/builder.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

/// Of a program with as many distinct products as there are `widths`.
plan::JobPlans PlansOf(const std::vector<int64_t>& widths) {
  graph::Builder builder(graph::Mode::kTrain, 64);
  graph::ValueId x = builder.Input("features", {64}, DType::kF32);
  for (size_t i = 0; i < widths.size(); ++i) x = builder.Linear(x, "fc" + std::to_string(i), widths[i], true, {});
  builder.SoftmaxCrossEntropy(x, 0);
  engine::ProgramPlan program;
  program.graph = builder.Finish();
  plan::JobPlans plans{{}, engine::ParameterLayout(program.graph), {}, {}, {}, {}};
  plans.train.push_back(std::make_shared<engine::ProgramPlan>(program));
  plans.evaluate.push_back(std::make_shared<engine::ProgramPlan>());
  return plans;
}

TEST(ProcessMemory, IsWhatTheProcessHasWithoutItsSamplesAndWhatARankAdds) {
  const plan::JobPlans plans = PlansOf({64});
  const int64_t one = ProcessBytes(plans, 30 * kMebibyte, 10 * kMebibyte, 1, kMebibyte);
  EXPECT_GT(one, 20 * kMebibyte);
  EXPECT_LT(one, 24 * kMebibyte);
  // Samples that are mapped and not in memory don't make it negative.
  EXPECT_GT(ProcessBytes(plans, 30 * kMebibyte, 100 * kMebibyte, 1, 0), 0);
  EXPECT_GT(ProcessBytes(plans, 30 * kMebibyte, 10 * kMebibyte, 2, kMebibyte), one + kMebibyte);  // MPI
}

TEST(ProcessMemory, LargeShardsAreWrittenThroughABuffer) {
  const plan::JobPlans plans = PlansOf({64});
  const auto of_shard = [&](int64_t bytes) { return ProcessBytes(plans, 30 * kMebibyte, 0, 1, bytes); };
  EXPECT_EQ(of_shard(100 * kMebibyte) - of_shard(kMebibyte), 8 * kMebibyte);
  EXPECT_EQ(of_shard(200 * kMebibyte), of_shard(100 * kMebibyte));
}

TEST(ProcessMemory, KernelsThatAreAlikeCountOnce) {
  const auto of = [](const std::vector<int64_t>& widths) { return ProcessBytes(PlansOf(widths), 0, 0, 1, 0); };
  EXPECT_EQ(of({64, 64, 64}), of({64}));
  EXPECT_GT(of({64, 128, 256}), of({64}));
}

}  // namespace
}  // namespace lockstep::launch

#include "trainer/step/executors.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "comm/local/local_communicator.h"

namespace lockstep::step {
namespace {

plan::TrainConfig Config() {
  plan::TrainConfig config;
  config.set_lanes(6);
  config.set_lane_threads(1);
  return config;
}

plan::CorePlan Cores(const std::vector<int>& executors) {
  plan::CorePlan plan;
  for (const int count : executors) plan.push_back({.executors = count, .pins = {}, .crowded = false});
  return plan;
}

void Fail(Executors& executors) {
  executors.pool().Start([](int) { throw std::runtime_error("an executor failed"); });
  executors.pool().AwaitIdle();
}

TEST(Executors, OneThatFailsEndsEveryWaitOfTheRank) {
  const auto world = comm::MakeLocalWorld({});
  Executors executors(*world.front(), Config(), Cores({2}));
  Fail(executors);
  int calls = 0;
  EXPECT_THROW(world.front()->WaitUntil([&] { return ++calls > 1000; }, "something else"), std::runtime_error);
}

TEST(Executors, AreForgottenByTheCommunicatorWhereWhatIsMadeAfterThemThrows) {
  const auto world = comm::MakeLocalWorld({});
  struct Owner {
    explicit Owner(comm::Communicator& comm) : executors(comm, Config(), Cores({2})) {
      Fail(executors);
      throw std::invalid_argument("no memory for the model");
    }
    Executors executors;
  };
  EXPECT_THROW(Owner owner(*world.front()), std::invalid_argument);
  int calls = 0;
  EXPECT_NO_THROW(world.front()->WaitUntil([&] { return ++calls > 1000; }, "the next model"));
}

TEST(Executors, HaveTheLanesOfTheirRankInOrder) {
  const auto world = comm::MakeLocalWorld({.world_size = 2});
  Executors executors(*world.back(), Config(), Cores({1, 2}));
  EXPECT_EQ(executors.size(), 2);
  ASSERT_EQ(executors.runs().size(), 2u);
  EXPECT_EQ(executors.runs().front().begin, executors.lanes().begin);
  EXPECT_EQ(executors.runs().front().end, executors.runs().back().begin);
  EXPECT_EQ(executors.lanes().end, 6);
}

}  // namespace
}  // namespace lockstep::step

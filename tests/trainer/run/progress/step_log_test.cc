#include "trainer/run/progress/step_log.h"

#include <gtest/gtest.h>

namespace lockstep::run {
namespace {

comm::Topology TwoHosts() {
  comm::Topology topology;
  topology.world_size = 2;
  topology.host_name_of = {"a", "b"};
  return topology;
}

std::vector<step::RankRecord> Records(double first, double second) {
  std::vector<step::RankRecord> ranks(2);
  ranks[0].times = {.lanes = first, .data = 0.125, .exchange = 0.25};
  ranks[1].times = {.lanes = second, .backward = 0.5};
  ranks[1].sent_bytes = 100;
  return ranks;
}

TEST(StepLog, AddsUpPhasesAndWhoWasSlowest) {
  StepLog log(TwoHosts(), 3, 50, 100);
  for (int i = 0; i < 10; ++i) log.Add(9, 8, Records(1, 2));  // warm-up
  EXPECT_EQ(log.steps(), 0u);
  log.Add(1, 8, Records(1, 2));
  log.Add(2, 8, Records(3, 2));
  log.Add(4, 6, Records(4, 2));
  const records::TimesRecord times = log.Times();
  EXPECT_EQ(times.attempt, 3u);
  EXPECT_EQ(times.first_step, 60u);
  EXPECT_EQ(times.steps, 3u);
  EXPECT_EQ(times.seconds, 7);
  EXPECT_EQ(times.samples, 22u);
  EXPECT_EQ(times.step_seconds, (std::vector<double>{1, 2, 4}));
  EXPECT_EQ(times.ranks[0].slowest, 2u);
  EXPECT_EQ(times.ranks[1].slowest, 1u);
  EXPECT_EQ(times.ranks[0].lanes, 8);
  EXPECT_EQ(times.ranks[0].phases.at("data"), 0.375);
  EXPECT_EQ(times.ranks[0].phases.at("exchange"), 0.75);
  EXPECT_EQ(times.ranks[1].phases.at("backward"), 1.5);
  EXPECT_EQ(times.ranks[1].sent_bytes, 300u);
  EXPECT_EQ(times.ranks[1].host, "b");
}

TEST(StepLog, OfFewStepsAQuarterIsLeftOut) {
  StepLog log(TwoHosts(), 1, 0, 9);
  for (int i = 0; i < 9; ++i) log.Add(1, 1, Records(1, 2));
  EXPECT_EQ(log.Times().first_step, 2u);
  EXPECT_EQ(log.steps(), 7u);
}

}  // namespace
}  // namespace lockstep::run

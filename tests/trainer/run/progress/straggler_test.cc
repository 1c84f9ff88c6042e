#include "trainer/run/progress/straggler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::run {
namespace {

using testing::AllOf;
using testing::HasSubstr;

comm::Topology FourRanks() {
  comm::Topology topology;
  topology.world_size = 4;
  topology.host_of = {0, 0, 1, 1};
  topology.hosts = {{0, 1}, {2, 3}};
  topology.host_name_of = {"h1", "h1", "h2", "h2"};
  return topology;
}

std::vector<step::RankRecord> Records(double slow_lanes, double slow_load) {
  std::vector<step::RankRecord> ranks(4);
  for (step::RankRecord& rank : ranks) rank.times.lanes = 0.2;
  ranks[2].times.lanes = slow_lanes;
  ranks[2].times.data = slow_load;
  return ranks;
}

/// What is said in `steps` steps, joined.
std::string Said(StragglerWatch& watch, const std::vector<step::RankRecord>& ranks, int steps) {
  std::string text;
  for (int step = 0; step < steps; ++step) text += watch.Observe(ranks);
  return text;
}

TEST(StragglerWatch, NamesTheSlowRankAndItsPhaseOnceInManySteps) {
  const comm::Topology topology = FourRanks();
  StragglerWatch watch(topology, 2);
  EXPECT_EQ(Said(watch, Records(0.8, 0.7), StragglerWatch::kSteps - 1), "");
  EXPECT_THAT(watch.Observe(Records(0.8, 0.7)), AllOf(HasSubstr("rank 2 on h2"), HasSubstr("loading")));
  EXPECT_EQ(Said(watch, Records(0.8, 0.7), StragglerWatch::kSteps - 1), "");
}

TEST(StragglerWatch, LooksAtAveragesNotAtSingleSteps) {
  const comm::Topology topology = FourRanks();
  StragglerWatch watch(topology, 2);
  EXPECT_EQ(watch.Observe(Records(3, 0)), "");
  EXPECT_EQ(Said(watch, Records(0.2, 0), StragglerWatch::kSteps - 1), "");
}

TEST(StragglerWatch, IsSilentWhereAllAreAlike) {
  const comm::Topology topology = FourRanks();
  StragglerWatch watch(topology, 2);
  EXPECT_EQ(Said(watch, Records(0.3, 0), 5 * StragglerWatch::kSteps), "");
}

}  // namespace
}  // namespace lockstep::run

// Simulated exchanges: their sums against the lane tree, their times against what can be worked out by hand.
#include "launch/project/simulate_exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "launch/scale/link_use.h"

namespace lockstep::launch {
namespace {

struct World {
  World(int ranks, int lanes, int64_t chunks, const std::string& network_text, int64_t bucket_chunks = 64,
        DType wire = DType::kF32)
      : network(ParseNetwork(network_text)),
        topology(TopologyOf(ranks, network)),
        plan({lanes, LanesOf(lanes, ranks), comm::CutBuckets(chunks * kChunkElements, bucket_chunks * kChunkElements),
              wire},
             topology) {
    if (network.memory_gb_s == 0) network.memory_gb_s = 1e6;
  }

  StepLoad Load(double lanes, double backward) const {
    const auto ranks = static_cast<size_t>(topology.world_size);
    StepLoad load{.lanes = std::vector<double>(ranks, lanes), .backward = std::vector<double>(ranks, backward)};
    // Gradients come evenly along the backward pass.
    const auto elements = static_cast<double>(plan.elements());
    for (int bucket = 0; bucket < plan.slices().buckets(); ++bucket)
      load.ready.push_back(static_cast<double>(plan.slices().bucket(bucket).end) / elements);
    return load;
  }
  SimulatedStep Run(const StepLoad& load, ExchangeValues* values = nullptr) const {
    return ExchangeSimulator(plan, topology, network).Run(load, values);
  }
  ValueCheck Values(bool share_at_once) const {
    ExchangeValues values(plan, topology);
    StepLoad load = Load(1e-3, 1e-3);
    // Ranks that differ, so that messages come in many orders.
    for (size_t rank = 0; rank < load.lanes.size(); ++rank)
      load.lanes[rank] += 1e-4 * static_cast<double>(rank * 7 % 5);
    load.share_at_once = share_at_once;
    Run(load, &values);
    return values.Check();
  }

  Network network;
  comm::Topology topology;
  comm::ExchangePlan plan;
};

struct Case {
  int ranks, lanes;
  int64_t chunks;
  const char* network;
};

class SimulatedSums : public testing::TestWithParam<Case> {};

TEST_P(SimulatedSums, HaveTheBitsOfTheLaneTree) {
  const Case& c = GetParam();
  for (const auto& [share_at_once, wire] : {std::pair{true, DType::kF32}, {false, DType::kF32}, {true, DType::kBF16}}) {
    const World world(c.ranks, c.lanes, c.chunks, c.network, /*bucket_chunks=*/5, wire);
    const ValueCheck check = world.Values(share_at_once);
    EXPECT_TRUE(check.good());
    int64_t slices = 0;
    for (int bucket = 0; bucket < world.plan.slices().buckets(); ++bucket)
      for (int rank = 0; rank < c.ranks; ++rank) slices += world.plan.slices().slice(bucket, rank).size() > 0 ? 1 : 0;
    EXPECT_EQ(check.sums, 2 * slices);
    EXPECT_EQ(check.weights, slices * static_cast<int64_t>(world.topology.hosts.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ranks, SimulatedSums,
    testing::Values(Case{1, 1, 3, ""}, Case{1, 7, 3, ""}, Case{2, 2, 9, "ranks_per_host=1"},
                    Case{3, 7, 31, "ranks_per_host=2"}, Case{3, 3, 31, "ranks_per_host=1"},
                    Case{8, 8, 31, "ranks_per_host=4"}, Case{8, 13, 31, "ranks_per_host=3,hosts_per_rack=2,eager_kb=0"},
                    Case{60, 60, 127, "ranks_per_host=8,hosts_per_rack=3,uplink_gbit=1,eager_kb=1"},
                    Case{60, 101, 127, "ranks_per_host=7,eager_kb=17"}));

TEST(SimulatedSums, OfThousandsOfRanksDoToo) {
  const World world(4096, 4096, 128, "", /*bucket_chunks=*/64);
  const ValueCheck check = world.Values(true);
  EXPECT_TRUE(check.good());
  EXPECT_EQ(check.sums, 256);
  EXPECT_EQ(check.weights, 128 * 512);
}

TEST(ExchangeValues, SumsInAnotherOrderAreFound) {
  // Of gradients that are added one after the other, nearly all differ from the tree's.
  int differ = 0;
  for (int64_t element = 0; element < 100; ++element) {
    float sum = 0;
    for (int lane = 0; lane < 64; ++lane) sum += MadeUpGradient(lane, element);
    differ += sum != TreeSum({0, 64}, element, DType::kF32) ? 1 : 0;
  }
  EXPECT_GT(differ, 50);
}

TEST(ExchangeValues, WrongAndMissingMessagesAreFound) {
  const World world(2, 2, 1, "ranks_per_host=1");
  const comm::BucketPlan owner = world.plan.PlanBucket(0, 0), other = world.plan.PlanBucket(1, 0);
  ASSERT_EQ(other.outgoing.size(), 1u);
  ExchangeValues values(world.plan, world.topology);
  SliceSample sum = values.SumOf(1, other.outgoing[0]);
  sum[1] = std::nextafter(sum[1], 1e9f);
  values.SumReceived(0, 0, 1, other.outgoing[0].tag, sum);
  EXPECT_THROW(values.SumReceived(0, 0, 1, other.outgoing[0].tag, sum), Error);
  values.Reduce(0, 0, owner);
  EXPECT_EQ(values.Check().wrong_sums, 1);
  EXPECT_EQ(values.Check().missing_weights, 1);
  values.WeightsReceived(0, 0, 1, {0, 0});
  EXPECT_EQ(values.Check().missing_weights, 0);
  EXPECT_EQ(values.Check().wrong_weights, 1);
}

TEST(SimulatedTime, WithinAHostIsThatOfLanesAndMemory) {
  // Two ranks share 16,384 bytes a second; each reads two pieces and updates two floats for 4,096 elements.
  World world(2, 2, 2, "message_us=0");
  world.network.memory_gb_s = 2 * 16384e-9;
  const SimulatedStep step = world.Run(world.Load(10, 0));
  EXPECT_DOUBLE_EQ(step.seconds, 10 + 4);
  EXPECT_EQ(step.messages, 0);
  EXPECT_EQ(step.host_bytes, 0);
  EXPECT_DOUBLE_EQ(step.exposed(), 4);
}

TEST(SimulatedTime, BetweenTwoHostsIsThatOfBytesAndLatency) {
  // One bucket of two slices: each host sends a slice of sums, then one of weights, 1,000 bytes a second each way.
  const World world(2, 2, 2, "ranks_per_host=1,gbit=8e-6,latency_us=1e6,message_us=0");
  const SimulatedStep step = world.Run(world.Load(10, 0));
  EXPECT_NEAR(step.seconds, 10 + 2 * (16.384 + 1), 1e-6);
  EXPECT_EQ(step.messages, 4);
  EXPECT_DOUBLE_EQ(step.host_bytes, LeastHostBytes(2 * 16384, 2));
  EXPECT_NEAR(step.link_busy, 2 * 16.384, 1e-9);
}

TEST(SimulatedTime, BucketsTravelBesideTheBackwardPass) {
  // Eight buckets, each as long on the way as the backward pass takes to fill it: all but the last are hidden.
  const World world(2, 2, 16, "ranks_per_host=1,gbit=8e-6,latency_us=0,message_us=0", /*bucket_chunks=*/2);
  ASSERT_EQ(world.plan.slices().buckets(), 8);
  const double bucket = 2 * 16.384;
  EXPECT_NEAR(world.Run(world.Load(1000, 0)).exposed(), 8 * bucket, 1e-6);
  EXPECT_NEAR(world.Run(world.Load(1000, 8 * bucket)).exposed(), bucket, 1e-6);
  // Where all sums come before any update, what is hidden is half.
  StepLoad load = world.Load(1000, 8 * bucket);
  load.share_at_once = false;
  load.norm_seconds = 5;
  EXPECT_NEAR(world.Run(load).exposed(), bucket / 2 + 5 + 8 * bucket / 2, 1e-6);
}

TEST(SimulatedTime, LongMessagesAreAnnouncedFirst) {
  // Two more ways of a second each for the sums, and for the weights; words take no more.
  const World world(2, 2, 2, "ranks_per_host=1,gbit=8e-6,latency_us=1e6,message_us=0,eager_kb=15");
  EXPECT_NEAR(world.Run(world.Load(10, 0)).seconds, 10 + 2 * (16.384 + 1 + 2 * 1), 1e-6);
}

TEST(SimulatedTime, FollowsTheSlowestRank) {
  const World world(16, 16, 64, "ranks_per_host=4");
  StepLoad load = world.Load(1, 0.1);
  load.lanes[5] = 3;
  const SimulatedStep step = world.Run(load);
  EXPECT_GT(step.seconds, 3);
  EXPECT_LT(step.seconds, 3.01);
  EXPECT_EQ(step.lanes_most, 3);
  EXPECT_NEAR(step.lanes_mean, 18.0 / 16, 1e-12);
}

TEST(SimulatedTime, NeverBeatsTheLeastVolumeAndGrowsWithSlowerLinks) {
  double before = 0;
  for (const double gbit : {100.0, 10.0, 1.0}) {
    const World world(32, 32, 640, "ranks_per_host=4,gbit=" + std::to_string(gbit));
    const SimulatedStep step = world.Run(world.Load(1e-3, 1e-3));
    const double least = LeastHostBytes(640.0 * kChunkElements * sizeof(float), 8);
    EXPECT_GE(step.host_bytes, least * (1 - 1e-9));
    EXPECT_GE(step.seconds, least / (gbit * 1e9 / 8));
    EXPECT_GT(step.seconds, before);
    before = step.seconds;
  }
}

TEST(SimulatedTime, RacksWithNarrowUplinksAreSlower) {
  const char* kWide = "ranks_per_host=1,gbit=1,hosts_per_rack=4";
  const World wide(16, 16, 640, kWide), narrow(16, 16, 640, std::string(kWide) + ",uplink_gbit=1");
  EXPECT_GT(narrow.Run(narrow.Load(1e-3, 1e-3)).seconds, 2 * wide.Run(wide.Load(1e-3, 1e-3)).seconds);
}

}  // namespace
}  // namespace lockstep::launch

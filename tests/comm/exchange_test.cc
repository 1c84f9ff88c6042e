#include "comm/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "comm/local/local_communicator.h"
#include "exchange_scenario.h"

namespace lockstep::comm {
namespace {

using testing::HasSubstr;

LocalWorldOptions World(const std::vector<int>& ranks_per_host) {
  int world_size = 0;
  for (int ranks : ranks_per_host) world_size += ranks;
  return {.world_size = world_size, .ranks_per_host = ranks_per_host};
}

// Every rank's weights have the bytes of the plain loops.
void ExpectReferenceWeights(const LocalWorldOptions& world, const Scenario& scenario) {
  const std::vector<float> expected = ReferenceWeights(scenario);
  std::atomic<int> equal = 0;
  RunLocalWorld(world, [&](Communicator& comm) {
    const std::vector<float> weights = RunScenario(comm, scenario);
    ASSERT_EQ(weights.size(), expected.size());
    equal += std::memcmp(weights.data(), expected.data(), expected.size() * sizeof(float)) == 0;
  });
  EXPECT_EQ(equal, world.world_size) << scenario.ToString();
}

struct Layout {
  int lanes;
  std::vector<int> ranks_per_host;
  std::vector<int> executors;
};

void PrintTo(const Layout& layout, std::ostream* out) {
  *out << layout.lanes << " lanes, hosts " << testing::PrintToString(layout.ranks_per_host) << ", executors "
       << testing::PrintToString(layout.executors);
}

class ExchangeLayoutsTest : public testing::TestWithParam<std::tuple<Layout, bool, DType>> {};

TEST_P(ExchangeLayoutsTest, MakesTheBitsOfOneRank) {
  const auto& [layout, share_at_once, wire] = GetParam();
  Scenario scenario;
  scenario.wire = wire;
  scenario.lanes = layout.lanes;
  scenario.executors = layout.executors;
  scenario.share_at_once = share_at_once;
  ExpectReferenceWeights(World(layout.ranks_per_host), scenario);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ExchangeLayoutsTest,
                         testing::Combine(testing::Values(Layout{1, {1}, {1}},                     //
                                                          Layout{8, {1}, {1}},                     //
                                                          Layout{8, {1}, {3}},                     //
                                                          Layout{8, {2}, {1, 1}},                  //
                                                          Layout{7, {3}, {1, 2, 1}},               //
                                                          Layout{5, {5}, {1, 1, 1, 1, 1}},         //
                                                          Layout{8, {1, 1}, {1, 1}},               //
                                                          Layout{8, {2, 2}, {1, 1, 1, 1}},         //
                                                          Layout{8, {3, 2}, {1, 1, 1, 1, 1}},      //
                                                          Layout{13, {1, 3, 1}, {2, 1, 3, 1, 2}},  //
                                                          Layout{6, {4, 2}, {1, 2, 1, 1, 1, 1}},   //
                                                          Layout{11, {1, 1, 1}, {2, 2, 2}},        //
                                                          Layout{3, {2, 1}, {2, 2, 2}},            //
                                                          Layout{8, {2, 2, 2, 2}, {1, 1, 1, 1, 1, 1, 1, 1}}),
                                          testing::Bool(), testing::Values(DType::kF32, DType::kBF16)));

TEST(ExchangeTest, MakesTheSameBitsUnderEveryCutAndBucketSize) {
  for (int64_t bucket : {kChunkElements, 3 * kChunkElements, 100 * kChunkElements}) {
    for (int64_t cut : {int64_t{1}, int64_t{513}, int64_t{1'000'000}}) {
      Scenario scenario{.lanes = 7, .executors = {1, 2, 1}, .bucket = bucket, .cut = cut};
      ExpectReferenceWeights(World({2, 1}), scenario);
    }
  }
}

TEST(ExchangeTest, WorksWithMoreRanksThanChunksAndWithoutElements) {
  for (int64_t elements : {int64_t{0}, int64_t{1}, kChunkElements + 1}) {
    Scenario scenario{.lanes = 8, .executors = {1, 1, 1, 1, 1}, .elements = elements};
    ExpectReferenceWeights(World({3, 2}), scenario);
  }
}

TEST(ExchangeTest, DelaysOfAnyRankChangeNothing) {
  Scenario scenario{.lanes = 8, .executors = {2, 1, 1, 1}, .steps = 6};
  scenario.before_bucket = [](int rank, int step, int bucket) {
    const int turns = (rank * 7 + step * 5 + bucket * 3) % 4 == 0 ? 300 : 0;
    for (int i = 0; i < turns; ++i) std::this_thread::yield();
  };
  LocalWorldOptions world = World({2, 2});
  world.on_operation = [](int rank, int64_t operation) {
    if ((rank + operation) % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  };
  ExpectReferenceWeights(world, scenario);
}

TEST(ExchangeTest, ShareNowCarriesOwnedSlicesToEveryHost) {
  RunLocalWorld(World({2, 1, 1}), [](Communicator& comm) {
    Exchange exchange(comm, {4, MakePlan(4, {1, 1, 1, 1}), CutBuckets(9 * kChunkElements, 2 * kChunkElements)});
    for (int round = 1; round <= 3; ++round) {
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) {
        const ElementRange slice = exchange.slices().slice(bucket, comm.rank());
        for (int64_t i = slice.begin; i < slice.end; ++i) {
          exchange.weights()[static_cast<size_t>(i)] = static_cast<float>(round * 100 + comm.rank());
        }
      }
      exchange.ShareNow();
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) {
        for (int rank = 0; rank < comm.world_size(); ++rank) {
          const ElementRange slice = exchange.slices().slice(bucket, rank);
          for (int64_t i = slice.begin; i < slice.end; ++i) {
            ASSERT_EQ(exchange.weights()[static_cast<size_t>(i)], static_cast<float>(round * 100 + rank));
          }
        }
      }
      comm.Wait(*comm.Barrier(), "all have looked");
    }
  });
}

TEST(ExchangeTest, ADeathInOneRankEndsAllWithinTwoSeconds) {
  for (const std::vector<int>& hosts : {std::vector{4}, std::vector{2, 2}, std::vector{1, 1, 1, 1}}) {
    Scenario scenario{.lanes = 8, .executors = {1, 1, 1, 1}, .steps = 1000};
    std::atomic<int> told = 0;
    std::atomic<int64_t> death = 0;
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
    EXPECT_THROW(RunLocalWorld(World(hosts),
                               [&](Communicator& comm) {
                                 std::optional<Interrupt> killer;
                                 if (comm.rank() == 2) {
                                   killer.emplace(comm.waiter(), [&, polls = 0]() mutable {
                                     if (++polls < 40) return;
                                     death = now();
                                     throw Error(ErrorKind::kInternal, "killed");
                                   });
                                 }
                                 try {
                                   RunScenario(comm, scenario);
                                 } catch (const PeerAborted& aborted) {
                                   EXPECT_EQ(aborted.rank(), 2);
                                   ++told;
                                 }
                               }),
                 Error);
    EXPECT_EQ(told, 3);
    EXPECT_LT(std::chrono::steady_clock::duration(now() - death), std::chrono::seconds(2));
  }
}

TEST(ExchangeTest, ALateExecutorIsAnErrorThatNamesBucketAndStep) {
  RunLocalWorld(World({1}), [](Communicator& comm) {
    Exchange exchange(comm, {2, MakePlan(2, {2}), CutBuckets(3 * kChunkElements, kChunkElements)});
    exchange.Begin(120);
    exchange.PieceReady(0, 0);
    exchange.PieceReady(1, 0);
    exchange.PieceReady(0, 1);
    comm.waiter().SetDeadline(std::chrono::seconds(0));
    try {
      exchange.Reduce([](int, ElementRange, const SliceSum&) {}, true);
      FAIL() << "returned";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("the exchange of bucket 1 of step 120"));
    }
  });
}

TEST(ExchangeTest, RefusesAPlanThatLeavesLanesOutAndCallsOutOfOrder) {
  RunLocalWorld(World({1}), [](Communicator& comm) {
    EXPECT_THROW(Exchange(comm, {4, {{{0, 3}}}, CutBuckets(10, kChunkElements)}), Error);
    Exchange exchange(comm, {1, {{{0, 1}}}, CutBuckets(10, kChunkElements)});
    EXPECT_THROW(exchange.Share(), Error);
    exchange.Begin(0);
    EXPECT_THROW(exchange.Begin(1), Error);
    EXPECT_THROW(exchange.ShareNow(), Error);
  });
}

}  // namespace
}  // namespace lockstep::comm

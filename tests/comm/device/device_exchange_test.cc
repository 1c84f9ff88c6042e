// The exchange between emulated devices, with threads as ranks: the bits of one rank, on any number of them.
#include "comm/device/device_exchange.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>

#include "base/emulated_device.h"
#include "base/error.h"
#include "base/memory.h"
#include "comm/device/staged_transport.h"
#include "comm/local/local_communicator.h"
#include "tests/comm/exchange_scenario.h"

namespace lockstep::comm {
namespace {

struct Layout {
  int lanes;
  int ranks;
};

void PrintTo(const Layout& layout, std::ostream* out) {
  *out << layout.lanes << " lanes, " << layout.ranks << " ranks";
}

Scenario MakeScenario(const Layout& layout) {
  Scenario scenario;
  scenario.lanes = layout.lanes;
  scenario.executors.assign(static_cast<size_t>(layout.ranks), 1);
  return scenario;
}

void ExpectReferenceWeights(const Scenario& scenario) {
  const std::vector<float> expected = ReferenceWeights(scenario);
  const auto ranks = static_cast<int>(scenario.executors.size());
  std::atomic<int> equal = 0;
  RunLocalWorld({.world_size = ranks}, [&](Communicator& comm) {
    const std::vector<float> weights = RunDeviceScenario(comm, scenario);
    ASSERT_EQ(weights.size(), expected.size());
    equal += std::memcmp(weights.data(), expected.data(), expected.size() * sizeof(float)) == 0;
  });
  EXPECT_EQ(equal, ranks) << scenario.ToString();
}

class DeviceExchangeTest : public testing::TestWithParam<std::tuple<Layout, bool, DType>> {};

TEST_P(DeviceExchangeTest, MakesTheBitsOfOneRank) {
  const auto& [layout, share_at_once, wire] = GetParam();
  Scenario scenario = MakeScenario(layout);
  scenario.wire = wire;
  scenario.share_at_once = share_at_once;
  ExpectReferenceWeights(scenario);
}

INSTANTIATE_TEST_SUITE_P(Layouts, DeviceExchangeTest,
                         testing::Combine(testing::Values(Layout{1, 1}, Layout{8, 1}, Layout{8, 2}, Layout{7, 2},
                                                          Layout{3, 3}, Layout{8, 3}, Layout{5, 5}, Layout{8, 5},
                                                          Layout{21, 5}),
                                          testing::Bool(), testing::Values(DType::kF32, DType::kBF16)));

TEST(DeviceExchange, MakesTheSameBitsUnderEveryBucketSize) {
  for (int64_t bucket : {kChunkElements, 3 * kChunkElements, 100 * kChunkElements}) {
    Scenario scenario = MakeScenario({8, 3});
    scenario.bucket = bucket;
    ExpectReferenceWeights(scenario);
  }
}

TEST(DeviceExchange, RanksMayOwnNothing) {
  Scenario scenario = MakeScenario({5, 5});
  scenario.elements = kChunkElements + 5;  // two chunks for five ranks
  ExpectReferenceWeights(scenario);
}

TEST(DeviceExchange, ARankThatIsLateHoldsOthersUpAndNothingElse) {
  Scenario scenario = MakeScenario({8, 3});
  std::atomic<int> late = 0;
  scenario.before_bucket = [&](int rank, int step, int bucket) {
    // The last rank begins each step when the others have made all of their gradients.
    if (rank != 2) return static_cast<void>(++late);
    const int buckets = static_cast<int>(CutBuckets(scenario.elements, scenario.bucket).size());
    while (bucket == 0 && late < 2 * buckets * (step + 1)) std::this_thread::yield();
  };
  ExpectReferenceWeights(scenario);
}

/// Moves nothing and keeps what it was asked for.
class NotingTransport final : public DeviceTransport {
 public:
  struct Call {
    std::vector<Part> sends, receives;
    std::string what;
  };

  void Exchange(DeviceStream&, std::span<const Part> sends, std::span<const Part> receives,
                const std::string& what) override {
    calls.push_back({{sends.begin(), sends.end()}, {receives.begin(), receives.end()}, what});
  }
  bool waits() const override { return false; }
  void Poll() override {}
  void Abort() override {}
  std::string description() const override { return "none"; }

  std::vector<Call> calls;
};

/// The exchange of rank `rank` of `layout`, over buckets of two chunks.
class PlannedExchange {
 public:
  PlannedExchange(const Layout& layout, int rank, int64_t elements)
      : world_(MakeLocalWorld({.world_size = layout.ranks})),
        exchange_(*world_[static_cast<size_t>(rank)], *device_, transport_,
                  {layout.lanes, MakePlan(layout.lanes, MakeScenario(layout).executors),
                   CutBuckets(elements, 2 * kChunkElements)}) {}

  DeviceExchange& operator*() { return exchange_; }
  DeviceExchange* operator->() { return &exchange_; }
  size_t allocated() const { return device_->info().memory - device_->free_memory(); }

  NotingTransport transport_;
  EmulatedStream stream_;

 private:
  std::vector<std::unique_ptr<Communicator>> world_;
  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
  DeviceExchange exchange_;
};

TEST(DeviceExchange, ARankByItselfSendsNothing) {
  PlannedExchange exchange({8, 1}, 0, 5 * kChunkElements);
  exchange->Collect(exchange.stream_, 0);
  exchange->Share(exchange.stream_, 0);
  EXPECT_TRUE(exchange.transport_.calls.empty());
  EXPECT_EQ(exchange->pieces().size(), 1u);
  EXPECT_EQ(exchange->sums(0).count, 1);
  EXPECT_EQ(exchange->sums(0).pieces[0], exchange->pieces()[0]);
}

size_t BytesOf(const std::vector<DeviceTransport::Part>& parts) {
  return std::accumulate(parts.begin(), parts.end(), size_t{0},
                         [](size_t sum, const auto& part) { return sum + part.bytes; });
}

TEST(DeviceExchange, EveryPieceOfAForeignSliceIsSentOnce) {
  // Lanes 3 to 5 of 8, between [0, 3) and [6, 8): nodes [3, 4) and [4, 6).
  PlannedExchange exchange({8, 3}, 1, 9 * kChunkElements);
  ASSERT_EQ(exchange->piece_nodes().size(), 2u);
  constexpr size_t kChunk = kChunkElements * sizeof(float);
  for (int bucket = 0; bucket < exchange->slices().buckets(); ++bucket) {
    exchange->Collect(exchange.stream_, bucket);
    const NotingTransport::Call& call = exchange.transport_.calls.back();
    const auto chunks = static_cast<size_t>(exchange->slices().bucket(bucket).size() / kChunkElements);
    const auto mine = static_cast<size_t>(exchange->slices().slice(bucket, 1).size() / kChunkElements);
    EXPECT_EQ(BytesOf(call.sends), 2 * (chunks - mine) * kChunk);
    EXPECT_EQ(BytesOf(call.receives), 3 * mine * kChunk) << "[0, 2) and [2, 3) of rank 0, [6, 8) of rank 2";
    EXPECT_NE(call.what.find("bucket " + std::to_string(bucket)), std::string::npos) << call.what;
    for (const auto& part : call.sends) EXPECT_NE(part.rank, 1);
  }
}

TEST(DeviceExchange, HoldsAnArenaForWeightsAndForEachPieceAndOneBucketOfForeignOnes) {
  PlannedExchange exchange({8, 3}, 1, 9 * kChunkElements);
  constexpr size_t kChunk = kChunkElements * sizeof(float);
  size_t largest = 0;
  for (int bucket = 0; bucket < exchange->slices().buckets(); ++bucket)
    largest = std::max(largest, static_cast<size_t>(exchange->slices().slice(bucket, 1).size()) * sizeof(float));
  const size_t arenas = 3 * 9 * kChunk + 3 * largest;
  EXPECT_GE(exchange.allocated(), arenas);
  EXPECT_LE(exchange.allocated(), arenas + 4096) << "and tables";
}

TEST(DeviceExchange, ArraysWithAnEntryAChunkAreSharedAsWeightsAre) {
  struct Entry {
    int64_t chunk, owner;
  };
  constexpr int64_t kElements = 11 * kChunkElements + 123, kChunks = 12;  // the last one is not whole
  for (int ranks : {1, 2, 3, 5}) {
    std::atomic<int> wrong = 0;
    RunLocalWorld({.world_size = ranks}, [&](Communicator& comm) {
      const auto device = MakeEmulatedDevice();
      const auto transport = MakeStagedTransport(comm, *device);
      DeviceExchange exchange(
          comm, *device, *transport,
          {5, MakePlan(5, MakeScenario({5, ranks}).executors), CutBuckets(kElements, 3 * kChunkElements)});
      const auto memory = device->Allocate(kChunks * sizeof(Entry), "entries");
      Entry* const entries = memory->As<Entry>();
      std::fill_n(entries, kChunks, Entry{-1, -1});
      const auto stream = device->MakeStream();
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) {
        const ElementRange mine = exchange.slices().slice(bucket, comm.rank());
        for (int64_t at = mine.begin; at < mine.end; at += kChunkElements)
          entries[at / kChunkElements] = {at / kChunkElements, comm.rank()};
        exchange.ShareRanges(*stream, bucket, memory->data(), sizeof(Entry), kChunkElements, "the entries");
      }
      stream->Synchronize();
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket)
        for (int rank = 0; rank < ranks; ++rank) {
          const ElementRange theirs = exchange.slices().slice(bucket, rank);
          for (int64_t at = theirs.begin; at < theirs.end; at += kChunkElements)
            wrong +=
                entries[at / kChunkElements].chunk != at / kChunkElements || entries[at / kChunkElements].owner != rank;
        }
      comm.Wait(*comm.Barrier(), "the end");
    });
    EXPECT_EQ(wrong, 0) << ranks << " ranks";
  }
}

// --- The transport through the host.

/// What part number `part` from rank `from` to rank `to` holds in round `round`.
std::byte Content(int round, int from, int to, size_t part, size_t i) {
  return static_cast<std::byte>((i * 7 + part * 31 + static_cast<size_t>(((round * 16 + from) * 16) + to) * 101) % 251);
}

/// Parts between all pairs of ranks, in places that are not aligned to anything.
class Pieces {
 public:
  Pieces(Device& device, const std::vector<size_t>& sizes, int ranks, int rank) : sizes_(sizes) {
    size_t each = 0;
    for (size_t size : sizes) each += size + 1;
    memory_ = device.Allocate(each * static_cast<size_t>(ranks), "parts");
    std::byte* next = memory_->data();
    for (int other = 0; other < ranks; ++other) {
      if (other == rank) continue;
      for (size_t size : sizes) {
        parts_.push_back({other, next, size});
        next += size + 1;
      }
    }
  }
  const std::vector<DeviceTransport::Part>& parts() const { return parts_; }
  size_t number(size_t part) const { return part % sizes_.size(); }

 private:
  const std::vector<size_t> sizes_;
  std::unique_ptr<DeviceMemory> memory_;
  std::vector<DeviceTransport::Part> parts_;
};

/// Rounds of an exchange of parts of `sizes[round]` between all pairs.
void ExpectAllArrives(int ranks, const std::vector<std::vector<size_t>>& rounds) {
  std::atomic<int> wrong = 0;
  RunLocalWorld({.world_size = ranks}, [&](Communicator& comm) {
    const auto device = MakeEmulatedDevice();
    const auto transport = MakeStagedTransport(comm, *device);
    EmulatedStream stream;
    for (int round = 0; round < static_cast<int>(rounds.size()); ++round) {
      const Pieces sent(*device, rounds[static_cast<size_t>(round)], ranks, comm.rank());
      const Pieces received(*device, rounds[static_cast<size_t>(round)], ranks, comm.rank());
      // Work of the stream before and after it, of which the host sees nothing.
      stream.Enqueue([&, round] {
        for (size_t p = 0; p < sent.parts().size(); ++p)
          for (size_t i = 0; i < sent.parts()[p].bytes; ++i)
            sent.parts()[p].data[i] = Content(round, comm.rank(), sent.parts()[p].rank, sent.number(p), i);
      });
      transport->Exchange(stream, sent.parts(), received.parts(), "the parts");
      stream.Enqueue([&, round] {
        for (size_t p = 0; p < received.parts().size(); ++p)
          for (size_t i = 0; i < received.parts()[p].bytes; ++i)
            wrong += received.parts()[p].data[i] !=
                     Content(round, received.parts()[p].rank, comm.rank(), received.number(p), i);
      });
      stream.Synchronize();
    }
    comm.Wait(*comm.Barrier(), "the end");
  });
  EXPECT_EQ(wrong, 0) << ranks << " ranks";
}

TEST(StagedTransport, MovesPartsOfAllSizesBetweenAllRanks) {
  for (int ranks : {2, 3, 5}) ExpectAllArrives(ranks, {{1, 4, 63, 64, 65, 100'003}});
}

TEST(StagedTransport, MovesAgainAndAgainLessAndMore) {
  ExpectAllArrives(3, {{100}, {100}, {5, 7}, {100'000, 3}, {64}, {100'000, 3}});
}

TEST(StagedTransport, PartsMayBeEmpty) {
  ExpectAllArrives(2, {{0}, {0, 5, 0, 6, 0}, {0, 0}});
  ExpectAllArrives(3, {{}, {3}, {}});
}

TEST(StagedTransport, OneMaySendMuchAndOthersNothing) {
  std::atomic<int> wrong = 0;
  RunLocalWorld({.world_size = 3}, [&](Communicator& comm) {
    const auto device = MakeEmulatedDevice();
    const auto transport = MakeStagedTransport(comm, *device);
    const auto stream = device->MakeStream();
    const auto memory = device->Allocate(5000, "bytes");
    std::vector<DeviceTransport::Part> sends, receives;
    if (comm.rank() == 1) {
      std::fill_n(memory->data(), memory->size(), std::byte{9});
      sends = {{0, memory->data(), 5000}, {2, memory->data(), 17}};
    } else {
      receives = {{1, memory->data(), comm.rank() == 0 ? size_t{5000} : size_t{17}}};
    }
    transport->Exchange(*stream, sends, receives, "bytes");
    stream->Synchronize();
    const auto arrived = std::count(memory->data(), memory->data() + memory->size(), std::byte{9});
    wrong += arrived != (comm.rank() == 2 ? 17 : 5000);
    comm.Wait(*comm.Barrier(), "the end");
  });
  EXPECT_EQ(wrong, 0);
}

TEST(StagedTransport, EndsWhereAnotherRankHas) {
  EXPECT_THROW(RunLocalWorld({.world_size = 2},
                             [](Communicator& comm) {
                               if (comm.rank() == 1) throw Error(ErrorKind::kInternal, "rank 1 ends");
                               const auto device = MakeEmulatedDevice();
                               const auto transport = MakeStagedTransport(comm, *device);
                               const auto stream = device->MakeStream();
                               const auto memory = device->Allocate(100, "bytes");
                               const DeviceTransport::Part part{1, memory->data(), 100};
                               transport->Exchange(*stream, {}, {&part, 1}, "bytes");
                             }),
               Error);
}

TEST(StagedTransport, AFailedDeviceEndsTheExchange) {
  const auto world = MakeLocalWorld({});
  const auto device = MakeEmulatedDevice();
  const auto transport = MakeStagedTransport(*world[0], *device);
  EmulatedStream stream;
  stream.Enqueue([] { throw Error(ErrorKind::kPeer, "the card fell off the bus"); });
  const auto exchange = [&] {
    for (int i = 0; i < 2; ++i) transport->Exchange(stream, {}, {}, "nothing");
  };
  EXPECT_THROW(exchange(), Error);
}

}  // namespace
}  // namespace lockstep::comm

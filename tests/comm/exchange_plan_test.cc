// The plans of all ranks against the definition of the lane tree: what is sent is what is expected, and every lane
// counts once.
#include "comm/exchange_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace lockstep::comm {
namespace {

struct Layout {
  int lanes;
  std::vector<int> ranks_per_host;
  std::vector<std::vector<int>> lanes_of;  ///< of each executor of each rank
  int64_t elements = 9 * kChunkElements + 123;
};

void PrintTo(const Layout& layout, std::ostream* out) {
  *out << layout.lanes << " lanes, hosts " << testing::PrintToString(layout.ranks_per_host) << ", executors of "
       << testing::PrintToString(layout.lanes_of);
}

Topology MakeTopology(const std::vector<int>& ranks_per_host) {
  Topology topology;
  for (size_t host = 0; host < ranks_per_host.size(); ++host) {
    std::vector<int>& ranks = topology.hosts.emplace_back();
    for (int i = 0; i < ranks_per_host[host]; ++i) {
      ranks.push_back(static_cast<int>(topology.host_of.size()));
      topology.host_of.push_back(static_cast<int>(host));
      topology.host_name_of.push_back("h" + std::to_string(host));
    }
  }
  topology.world_size = static_cast<int>(topology.host_of.size());
  return topology;
}

LanePlan MakeLanePlan(const std::vector<std::vector<int>>& lanes_of) {
  LanePlan plan;
  int next = 0;
  for (const std::vector<int>& rank : lanes_of) {
    std::vector<LaneRange>& runs = plan.emplace_back();
    for (int lanes : rank) {
      runs.push_back({next, next + lanes});
      next += lanes;
    }
  }
  return plan;
}

/// "((0+1)+2)": the sum over lanes [begin, end) by the tree's definition.
std::string TreeText(int begin, int end) {
  if (end - begin == 1) return std::to_string(begin);
  int half = 1;
  while (2 * half < end - begin) half *= 2;
  return "(" + TreeText(begin, begin + half) + "+" + TreeText(begin + half, end) + ")";
}

/// How many of the tree's nodes tile [run.begin, run.end), as few as there can be: by looking at every node.
int FewestNodes(LaneRange run, int begin, int end) {
  if (end <= run.begin || run.end <= begin) return 0;
  if (run.begin <= begin && end <= run.end) return 1;
  int half = 1;
  while (2 * half < end - begin) half *= 2;
  return FewestNodes(run, begin, begin + half) + FewestNodes(run, begin + half, end);
}

/// What `order` makes of addends that are written as `texts`.
std::string SumText(const std::vector<LaneSumStep>& order, const std::vector<std::string>& texts) {
  std::vector<std::string> stack;
  for (const LaneSumStep& step : order) {
    if (step.piece != LaneSumStep::kAdd) {
      stack.push_back(texts.at(static_cast<size_t>(step.piece)));
      continue;
    }
    const std::string right = stack.back();
    stack.pop_back();
    stack.back() = "(" + stack.back() + "+" + right + ")";
  }
  EXPECT_EQ(stack.size(), 1u);
  return stack.back();
}

std::string PieceText(const Piece& piece) { return TreeText(piece.node.begin, piece.node.end); }

class ExchangePlanTest : public testing::TestWithParam<Layout> {
 protected:
  using Message = std::tuple<int, int, int>;  // from, to, tag

  ExchangePlanTest()
      : topology_(MakeTopology(GetParam().ranks_per_host)),
        lane_plan_(MakeLanePlan(GetParam().lanes_of)),
        plan_({GetParam().lanes, lane_plan_, CutBuckets(GetParam().elements, 2 * kChunkElements)}, topology_) {}

  int HostOf(int rank) const { return topology_.host_of[static_cast<size_t>(rank)]; }
  int hosts() const { return static_cast<int>(topology_.hosts.size()); }
  LaneRange LanesOf(int host) const {
    const std::vector<int>& ranks = topology_.hosts[static_cast<size_t>(host)];
    LaneRange lanes{GetParam().lanes, 0};
    for (int rank : ranks)
      for (LaneRange run : lane_plan_[static_cast<size_t>(rank)]) {
        if (run.size() == 0) continue;
        lanes = {std::min(lanes.begin, run.begin), std::max(lanes.end, run.end)};
      }
    return lanes;
  }
  /// What each message of a bucket's sums holds, as its sender makes it.
  std::map<Message, std::pair<std::string, ElementRange>> SumsSent(int bucket) const {
    std::map<Message, std::pair<std::string, ElementRange>> sent;
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const std::vector<HostSum> sums = plan_.HostSums(HostOf(rank));
      for (const BucketPlan::Outgoing& out : plan_.PlanBucket(rank, bucket).outgoing) {
        std::vector<std::string> texts;
        for (size_t piece : sums[out.sum].pieces) texts.push_back(PieceText(plan_.pieces(HostOf(rank))[piece]));
        const auto what = std::pair(SumText(sums[out.sum].order, texts), out.range);
        EXPECT_TRUE(sent.emplace(Message{rank, out.to, out.tag}, what).second) << "sent twice";
        EXPECT_NE(HostOf(rank), HostOf(out.to));
      }
    }
    return sent;
  }

  Topology topology_;
  LanePlan lane_plan_;
  ExchangePlan plan_;
};

TEST_P(ExchangePlanTest, EveryOwnerAddsEveryLaneOnceInTheOrderOfTheTree) {
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket) {
    auto sent = SumsSent(bucket);
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const BucketPlan plan = plan_.PlanBucket(rank, bucket);
      EXPECT_EQ(plan.slice, plan_.slices().slice(bucket, rank));
      if (plan.slice.size() == 0) {
        EXPECT_TRUE(plan.incoming.empty());
        continue;
      }
      std::vector<std::string> addends;
      for (const Piece& piece : plan_.pieces(HostOf(rank))) addends.push_back(PieceText(piece));
      for (const BucketPlan::Incoming& in : plan.incoming) {
        const auto message = sent.find({in.from, rank, in.tag});
        ASSERT_NE(message, sent.end()) << "nobody sends it";
        EXPECT_EQ(message->second.second, plan.slice);
        addends.push_back(message->second.first);
        sent.erase(message);
      }
      EXPECT_EQ(SumText(plan_.SumOrder(HostOf(rank)), addends), TreeText(0, GetParam().lanes));
    }
    EXPECT_TRUE(sent.empty()) << "nobody receives " << sent.size() << " messages of bucket " << bucket;
  }
}

TEST_P(ExchangePlanTest, NewWeightsReachEveryOtherHostOnce) {
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket) {
    std::set<Message> sent, received;
    std::map<std::pair<int, int>, int> taken;  // owner, host
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const BucketPlan plan = plan_.PlanBucket(rank, bucket);
      for (int relay : plan.relays) EXPECT_TRUE(sent.insert({rank, relay, plan.weights_tag}).second);
      for (const BucketPlan::Relayed& relayed : plan.relayed) {
        EXPECT_TRUE(received.insert({relayed.owner, rank, plan.weights_tag}).second);
        EXPECT_EQ(relayed.range, plan_.slices().slice(bucket, relayed.owner));
        EXPECT_NE(HostOf(relayed.owner), HostOf(rank));
        ++taken[{relayed.owner, HostOf(rank)}];
      }
    }
    EXPECT_EQ(sent, received);
    for (int owner = 0; owner < topology_.world_size; ++owner) {
      const bool empty = plan_.slices().slice(bucket, owner).size() == 0;
      for (int host = 0; host < hosts(); ++host)
        EXPECT_EQ((taken[{owner, host}]), empty || host == HostOf(owner) ? 0 : 1) << owner << " " << host;
    }
  }
}

TEST_P(ExchangePlanTest, NoTwoMessagesOfAStepHaveOneSourceDestinationAndTag) {
  std::set<Message> seen;
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket) {
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const BucketPlan plan = plan_.PlanBucket(rank, bucket);
      for (const BucketPlan::Outgoing& out : plan.outgoing)
        EXPECT_TRUE(seen.insert({rank, out.to, out.tag}).second) << rank << " " << out.to << " " << out.tag;
      for (int relay : plan.relays)
        EXPECT_TRUE(seen.insert({rank, relay, plan.weights_tag}).second) << rank << " " << relay;
    }
  }
  for (const auto& [from, to, tag] : seen) EXPECT_TRUE(0 <= tag && tag < (1 << 20)) << tag;
}

TEST_P(ExchangePlanTest, SendsBetweenHostsWhatTheTreeAsksForAndNoMore) {
  int64_t sums = 0, weights = 0;
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket)
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const BucketPlan plan = plan_.PlanBucket(rank, bucket);
      for (const BucketPlan::Outgoing& out : plan.outgoing) sums += out.range.size();
      weights += plan.slice.size() * static_cast<int64_t>(plan.relays.size());
    }
  // Every host sends each element that it doesn't own once for each of its maximal nodes.
  int64_t expected = 0;
  for (int host = 0; host < hosts(); ++host) {
    int64_t foreign = GetParam().elements;
    for (int rank : topology_.hosts[static_cast<size_t>(host)]) foreign -= plan_.slices().owned(rank);
    expected += foreign * FewestNodes(LanesOf(host), 0, GetParam().lanes);
  }
  EXPECT_EQ(sums, expected);
  EXPECT_EQ(weights, GetParam().elements * (hosts() - 1));
}

TEST_P(ExchangePlanTest, BuffersOfABucketDoNotOverlap) {
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket) {
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      const BucketPlan plan = plan_.PlanBucket(rank, bucket);
      const std::vector<HostSum> sums = plan_.HostSums(HostOf(rank));
      int64_t received = 0, folded = 0;
      for (const BucketPlan::Incoming& in : plan.incoming) {
        EXPECT_GE(in.offset, received);
        EXPECT_EQ(static_cast<size_t>(in.offset) * sizeof(float) % kValueAlignment, 0u);
        received = in.offset + plan.slice.size();
      }
      for (const BucketPlan::Outgoing& out : plan.outgoing) {
        if (sums[out.sum].pieces.size() == 1) continue;
        EXPECT_GE(out.offset, folded);
        EXPECT_EQ(static_cast<size_t>(out.offset) * sizeof(float) % kValueAlignment, 0u);
        folded = out.offset + out.range.size();
      }
      EXPECT_LE(received, plan.received_elements);
      EXPECT_LE(folded, plan.folded_elements);
    }
  }
}

std::vector<std::vector<int>> Uniform(int ranks, const std::vector<int>& executors) {
  return std::vector<std::vector<int>>(static_cast<size_t>(ranks), executors);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ExchangePlanTest,
                         testing::Values(Layout{1, {1}, {{1}}},                                   //
                                         Layout{8, {2}, {{4}, {2, 2}}},                           //
                                         Layout{8, {1, 1}, {{4}, {4}}},                           //
                                         Layout{8, {2, 2}, Uniform(4, {2})},                      //
                                         Layout{7, {2, 1}, {{3}, {1, 1}, {2}}},                   //
                                         Layout{13, {1, 3, 1}, {{2, 3}, {1}, {3}, {1, 1}, {2}}},  //
                                         Layout{5, {3, 2}, {{1}, {1}, {1}, {1, 0}, {1}}},         //
                                         Layout{6, {4, 2}, {{1}, {1}, {1}, {1}, {1}, {1}}, kChunkElements + 1},
                                         Layout{96, std::vector<int>(12, 4), Uniform(48, {1, 1})}));

TEST(ExchangePlanScaleTest, ABucketOfThousandsOfRanksIsPlannedAtOnce) {
  constexpr int kHosts = 512, kPerHost = 8, kRanks = kHosts * kPerHost;
  const ExchangePlan plan(
      {kRanks, MakeLanePlan(Uniform(kRanks, {1})), CutBuckets(kRanks * kChunkElements, kRanks * kChunkElements)},
      MakeTopology(std::vector<int>(kHosts, kPerHost)));
  int64_t sent = 0, awaited = 0;
  for (int rank = 0; rank < kRanks; ++rank) {
    const BucketPlan bucket = plan.PlanBucket(rank, 0);
    sent += static_cast<int64_t>(bucket.outgoing.size());
    awaited += static_cast<int64_t>(bucket.incoming.size());
  }
  EXPECT_EQ(sent, int64_t{kRanks} * (kHosts - 1));  // a host's eight lanes are one node of the tree
  EXPECT_EQ(awaited, sent);
}

TEST(ExchangePlanRefusalTest, LanesThatAreLeftOutOrGivenTwice) {
  const std::vector<ElementRange> buckets = CutBuckets(10, kChunkElements);
  EXPECT_THROW(ExchangePlan({4, {{{0, 3}}}, buckets}, MakeTopology({1})), Error);
  EXPECT_THROW(ExchangePlan({4, {{{0, 3}}, {{2, 4}}}, buckets}, MakeTopology({2})), Error);
  EXPECT_THROW(ExchangePlan({4, {{{0, 4}}}, buckets}, MakeTopology({2})), Error);
}

}  // namespace
}  // namespace lockstep::comm

#include "base/lane_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "base/error.h"

namespace lockstep {

std::ostream& operator<<(std::ostream& out, LaneRange range) {
  return out << "[" << range.begin << ", " << range.end << ")";
}

namespace {

int SplitByDefinition(int a, int b) {
  int power = 1;
  while (2 * power < b - a) power *= 2;
  return a + power;
}

float SumByDefinition(const std::vector<float>& g, int a, int b) {
  if (b - a == 1) return g[static_cast<size_t>(a)];
  const int m = SplitByDefinition(a, b);
  const float left = SumByDefinition(g, a, m), right = SumByDefinition(g, m, b);
  return left + right;
}

void NodesByDefinition(int a, int b, std::vector<LaneRange>& nodes) {
  nodes.push_back({a, b});
  if (b - a == 1) return;
  const int m = SplitByDefinition(a, b);
  NodesByDefinition(a, m, nodes);
  NodesByDefinition(m, b, nodes);
}

float RunSum(const std::vector<LaneSumStep>& order, const std::vector<float>& pieces) {
  std::vector<float> stack;
  for (LaneSumStep step : order) {
    if (step.piece == LaneSumStep::kAdd) {
      const float right = stack.back();
      stack.pop_back();
      stack.back() = stack.back() + right;
    } else {
      stack.push_back(pieces.at(static_cast<size_t>(step.piece)));
    }
  }
  EXPECT_EQ(stack.size(), 1u);
  return stack.back();
}

/// Values of many magnitudes and both signs: another order of additions gives other bits.
std::vector<float> RandomLanes(int lanes, std::mt19937& random) {
  std::vector<float> g(static_cast<size_t>(lanes));
  for (float& value : g) {
    value = std::ldexp(std::uniform_real_distribution<float>(-1, 1)(random), static_cast<int>(random() % 12));
  }
  return g;
}

/// The runs of a partition of [0, lanes): bit i of `cuts` says whether there is a cut between lanes i and i + 1.
std::vector<LaneRange> Partition(int lanes, unsigned cuts) {
  std::vector<LaneRange> runs;
  int begin = 0;
  for (int lane = 1; lane <= lanes; ++lane) {
    if (lane == lanes || (cuts >> (lane - 1) & 1) != 0) runs.push_back({std::exchange(begin, lane), lane});
  }
  return runs;
}

TEST(LaneTree, EveryPartitionGivesTheBitsOfTheRecursiveDefinition) {
  std::mt19937 random(1);
  int other_bits_in_sequence = 0;
  for (int lanes = 1; lanes <= 12; ++lanes) {
    for (unsigned cuts = 0; cuts < 1u << (lanes - 1); ++cuts) {
      const std::vector<float> g = RandomLanes(lanes, random);
      std::vector<LaneRange> nodes;
      for (LaneRange run : Partition(lanes, cuts)) {
        for (LaneRange node : MaximalNodes(lanes, run)) nodes.push_back(node);
      }
      std::shuffle(nodes.begin(), nodes.end(), random);  // arrival order must not matter
      std::vector<float> sums;
      for (LaneRange node : nodes) {  // a rank folds its own lanes, which it has as leaves
        std::vector<LaneRange> leaves;
        std::vector<float> values;
        for (int lane = node.begin; lane < node.end; ++lane) {
          leaves.push_back({lane, lane + 1});
          values.push_back(g[static_cast<size_t>(lane)]);
        }
        sums.push_back(RunSum(LaneSumOrder(lanes, node, leaves), values));
      }
      const float sum = RunSum(LaneSumOrder(lanes, {0, lanes}, nodes), sums);
      const float expected = SumByDefinition(g, 0, lanes);
      ASSERT_EQ(std::bit_cast<uint32_t>(sum), std::bit_cast<uint32_t>(expected)) << lanes << " lanes, cuts " << cuts;

      float in_sequence = g[0];
      for (size_t lane = 1; lane < g.size(); ++lane) in_sequence += g[lane];
      other_bits_in_sequence += in_sequence != expected;
    }
  }
  EXPECT_GT(other_bits_in_sequence, 100) << "the values don't tell orders apart";
}

TEST(LaneTree, MaximalNodesAreThoseOfBruteForce) {
  for (int lanes = 1; lanes <= 40; ++lanes) {
    std::vector<LaneRange> all;
    NodesByDefinition(0, lanes, all);
    for (int begin = 0; begin < lanes; ++begin) {
      for (int end = begin + 1; end <= lanes; ++end) {
        const auto inside = [](LaneRange inner, LaneRange outer) {
          return outer.begin <= inner.begin && inner.end <= outer.end;
        };
        std::vector<LaneRange> expected;
        for (LaneRange node : all) {
          const bool larger_one_fits = std::any_of(all.begin(), all.end(), [&](LaneRange other) {
            return other != node && inside(node, other) && inside(other, {begin, end});
          });
          if (inside(node, {begin, end}) && !larger_one_fits) expected.push_back(node);
        }
        std::sort(expected.begin(), expected.end(), [](LaneRange a, LaneRange b) { return a.begin < b.begin; });
        const std::vector<LaneRange> nodes = MaximalNodes(lanes, {begin, end});
        ASSERT_EQ(nodes, expected) << lanes << " lanes, run [" << begin << ", " << end << ")";
        ASSERT_LE(nodes.size(), std::max(1.0, 2 * std::log2(lanes)));
      }
    }
  }
}

TEST(LaneTree, AnEmptyRunHasNoNodes) { EXPECT_TRUE(MaximalNodes(8, {3, 3}).empty()); }

TEST(LaneTree, EvenPowersOfTwoGiveOneNodeARank) {
  for (LaneRange run : DealLanes(64, 16)) EXPECT_EQ(MaximalNodes(64, run), std::vector<LaneRange>{run});
}

TEST(LaneTree, StackDepthIsWhatTheOrderUses) {
  for (int lanes = 1; lanes <= 33; ++lanes) {
    std::vector<LaneRange> leaves;
    for (int lane = 0; lane < lanes; ++lane) leaves.push_back({lane, lane + 1});
    const std::vector<LaneSumStep> order = LaneSumOrder(lanes, {0, lanes}, leaves);
    int depth = 0, deepest = 0;
    for (LaneSumStep step : order) deepest = std::max(deepest, step.piece == LaneSumStep::kAdd ? --depth : ++depth);
    EXPECT_EQ(LaneSumDepth(order), deepest);
    EXPECT_LE(deepest, 1 + std::bit_width(static_cast<unsigned>(lanes - 1)));
  }
}

TEST(LaneTree, PiecesThatDoNotTileTheTargetAreRefused) {
  const auto order = [](LaneRange target, std::vector<LaneRange> pieces) { return LaneSumOrder(8, target, pieces); };
  EXPECT_NO_THROW(order({0, 8}, {{4, 8}, {0, 4}}));
  EXPECT_THROW(order({0, 8}, {}), Error);                        // nothing
  EXPECT_THROW(order({0, 8}, {{0, 4}}), Error);                  // a gap at the end
  EXPECT_THROW(order({0, 8}, {{4, 8}}), Error);                  // a gap at the start
  EXPECT_THROW(order({0, 8}, {{0, 4}, {6, 8}}), Error);          // a gap in the middle
  EXPECT_THROW(order({0, 8}, {{0, 4}, {4, 8}, {4, 8}}), Error);  // twice
  EXPECT_THROW(order({0, 8}, {{0, 4}, {0, 2}, {4, 8}}), Error);  // overlapping
  EXPECT_THROW(order({0, 8}, {{0, 3}, {3, 8}}), Error);          // no nodes
  EXPECT_THROW(order({0, 4}, {{0, 4}, {4, 8}}), Error);          // more than the target
  EXPECT_THROW(order({1, 3}, {{1, 2}, {2, 3}}), Error);          // the target is no node
  EXPECT_THROW(order({0, 8}, {{0, 0}, {0, 4}, {4, 8}}), Error);  // an empty piece
}

TEST(LaneTree, DealtRunsAreContiguousAndDifferByAtMostOne) {
  for (int lanes = 1; lanes <= 20; ++lanes) {
    for (int holders = 1; holders <= lanes; ++holders) {
      const std::vector<LaneRange> runs = DealLanes(lanes, holders);
      ASSERT_EQ(runs.size(), static_cast<size_t>(holders));
      int next = 0;
      for (size_t i = 0; i < runs.size(); ++i) {
        EXPECT_EQ(runs[i].begin, next);
        next = runs[i].end;
        if (i > 0) {
          EXPECT_LE(runs[i].size(), runs[i - 1].size());
        }
        EXPECT_GE(runs[i].size(), 1);
      }
      EXPECT_EQ(next, lanes);
      EXPECT_LE(runs.front().size() - runs.back().size(), 1);
    }
  }
  EXPECT_THROW(DealLanes(2, 3), Error);
}

}  // namespace
}  // namespace lockstep

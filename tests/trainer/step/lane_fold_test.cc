// The fold against the lane tree's definition, and what it allocates against what the memory plan says.
#include "trainer/step/lane_fold.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <vector>

namespace lockstep::step {
namespace {

using Arena = std::vector<float>;

/// Gradients whose sums depend on the order: magnitudes range over six decades.
std::vector<Arena> RandomGradients(int lanes, int64_t elements, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-3, 3);
  std::vector<Arena> gradients(static_cast<size_t>(lanes), Arena(static_cast<size_t>(elements)));
  for (Arena& gradient : gradients)
    for (float& value : gradient) value = normal(random) * std::pow(10.0f, exponent(random));
  return gradients;
}

/// sum[a, b) as the definition has it.
float TreeSum(const std::vector<Arena>& gradients, int a, int b, size_t element) {
  if (b - a == 1) return gradients[static_cast<size_t>(a)][element];
  int half = 1;
  while (2 * half < b - a) half *= 2;
  return TreeSum(gradients, a, a + half, element) + TreeSum(gradients, a + half, b, element);
}

/// To 8 bits, ties to even, in double.
float Rounded(float value) {
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(value), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(mantissa * 256), exponent - 8));
}
float RoundedTreeSum(const std::vector<Arena>& gradients, int a, int b, size_t element) {
  if (b - a == 1) return Rounded(gradients[static_cast<size_t>(a)][element]);
  int half = 1;
  while (2 * half < b - a) half *= 2;
  return Rounded(RoundedTreeSum(gradients, a, a + half, element) + RoundedTreeSum(gradients, a + half, b, element));
}

class Pieces {
 public:
  Pieces(int lanes, LaneRange run, int64_t elements)
      : nodes(MaximalNodes(lanes, run)),
        // What a piece held before must not matter.
        arenas(nodes.size(), Arena(static_cast<size_t>(elements), std::numeric_limits<float>::quiet_NaN())) {
    for (Arena& arena : arenas) addresses.push_back(reinterpret_cast<std::byte*>(arena.data()));
  }

  std::vector<LaneRange> nodes;
  std::vector<Arena> arenas;
  std::vector<std::byte*> addresses;
};

void ExpectTreeSums(const Pieces& pieces, const std::vector<Arena>& gradients) {
  for (size_t n = 0; n < pieces.nodes.size(); ++n)
    for (size_t i = 0; i < pieces.arenas[n].size(); ++i) {
      const float expected = TreeSum(gradients, pieces.nodes[n].begin, pieces.nodes[n].end, i);
      ASSERT_EQ(std::memcmp(&pieces.arenas[n][i], &expected, sizeof(float)), 0)
          << "element " << i << " of lanes " << pieces.nodes[n].begin << " to " << pieces.nodes[n].end << ": "
          << pieces.arenas[n][i] << " instead of " << expected;
    }
}

TEST(LaneFold, AnyRunOfAnyNumberOfLanesGivesTheBytesOfTheLaneTree) {
  constexpr int64_t kElements = 48;
  for (int lanes : {1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 21, 32, 33, 64})
    for (int begin = 0; begin < lanes; ++begin)
      for (int end = begin + 1; end <= lanes; ++end) {
        SCOPED_TRACE(testing::Message() << "lanes " << begin << " to " << end << " of " << lanes);
        const std::vector<Arena> gradients =
            RandomGradients(lanes, kElements, static_cast<uint32_t>(lanes * 64 + begin));
        Pieces pieces(lanes, {begin, end}, kElements);
        LaneFold fold(lanes, pieces.nodes, pieces.addresses, kElements, DType::kF32);
        for (int lane = begin; lane < end; ++lane)
          fold.Add(lane, 0, kElements, gradients[static_cast<size_t>(lane)].data());
        ExpectTreeSums(pieces, gradients);
        if (HasFatalFailure()) return;
      }
}

TEST(LaneFold, BucketsMayComeInAnyOrderAndDifferBetweenLanes) {
  constexpr int kLanes = 13;
  constexpr int64_t kElements = 9000;  // several blocks of the fold, and a part of one
  const std::vector<int64_t> edges = {0, 1, 2047, 2048, 4100, 8999, kElements};
  const std::vector<Arena> gradients = RandomGradients(kLanes, kElements, 1);
  Pieces pieces(kLanes, {1, 12}, kElements);
  LaneFold fold(kLanes, pieces.nodes, pieces.addresses, kElements, DType::kF32);
  std::mt19937 random(2);
  for (int lane = 1; lane < 12; ++lane) {
    std::vector<size_t> order(edges.size() - 1);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (size_t bucket : order)
      fold.Add(lane, edges[bucket], edges[bucket + 1], gradients[static_cast<size_t>(lane)].data());
  }
  ExpectTreeSums(pieces, gradients);
}

TEST(LaneFold, LeavesNothingOfOneStepInTheNext) {
  constexpr int kLanes = 8;
  constexpr int64_t kElements = 100;
  Pieces pieces(kLanes, {0, 7}, kElements);
  LaneFold fold(kLanes, pieces.nodes, pieces.addresses, kElements, DType::kF32);
  for (uint32_t step = 0; step < 3; ++step) {
    const std::vector<Arena> gradients = RandomGradients(kLanes, kElements, step);
    for (int lane = 0; lane < 7; ++lane) fold.Add(lane, 0, kElements, gradients[static_cast<size_t>(lane)].data());
    ExpectTreeSums(pieces, gradients);
  }
}

TEST(LaneFold, ALaneThatIsANodeByItselfMayWriteItsPiece) {
  // Lanes 3 to 7 of 8: the nodes are lane 3 and lanes 4 to 7.
  constexpr int64_t kElements = 5000;
  const std::vector<Arena> gradients = RandomGradients(8, kElements, 3);
  Pieces pieces(8, {3, 8}, kElements);
  ASSERT_EQ(pieces.nodes, (std::vector<LaneRange>{{3, 4}, {4, 8}}));
  LaneFold fold(8, pieces.nodes, pieces.addresses, kElements, DType::kF32);
  ASSERT_EQ(fold.DirectTarget(3), pieces.arenas[0].data());
  for (int lane = 4; lane < 8; ++lane) EXPECT_EQ(fold.DirectTarget(lane), nullptr) << lane;

  std::copy(gradients[3].begin(), gradients[3].end(), fold.DirectTarget(3));
  fold.Add(3, 0, kElements, fold.DirectTarget(3));
  for (int lane = 4; lane < 8; ++lane) fold.Add(lane, 0, kElements, gradients[static_cast<size_t>(lane)].data());
  ExpectTreeSums(pieces, gradients);
}

TEST(LaneFold, Bf16PiecesHaveEveryLaneAndEverySumRoundedOnce) {
  constexpr int64_t kElements = 2500;
  for (const auto& [lanes, run] : {std::pair{1, LaneRange{0, 1}}, {2, {1, 2}}, {8, {0, 8}}, {13, {1, 12}}}) {
    const std::vector<Arena> gradients = RandomGradients(lanes, kElements, static_cast<uint32_t>(lanes));
    Pieces pieces(lanes, run, kElements);
    LaneFold fold(lanes, pieces.nodes, pieces.addresses, kElements, DType::kBF16);
    EXPECT_EQ(fold.DirectTarget(run.begin), nullptr);
    for (int lane = run.begin; lane < run.end; ++lane)
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{2048, kElements}, {0, 2048}})
        fold.Add(lane, begin, end, gradients[static_cast<size_t>(lane)].data());
    for (size_t n = 0; n < pieces.nodes.size(); ++n)
      for (size_t i = 0; i < kElements; ++i) {
        const LaneRange node = pieces.nodes[n];
        const float expected = RoundedTreeSum(gradients, node.begin, node.end, i);
        const uint16_t held = reinterpret_cast<const uint16_t*>(pieces.addresses[n])[i];
        ASSERT_EQ(uint32_t{held} << 16, std::bit_cast<uint32_t>(expected))
            << "element " << i << " of lanes " << node.begin << " to " << node.end;
      }
  }
}

TEST(LaneFold, AFullTreeKeepsOneSumALevelButTheRootAndTheLeaf) {
  for (int levels = 1; levels <= 8; ++levels) {
    const std::vector<LaneRange> whole = {{0, 1 << levels}};
    EXPECT_EQ(plan::FoldStackEntries(1 << levels, whole), levels - 1) << levels;
  }
  const std::vector<LaneRange> one = {{0, 1}};
  EXPECT_EQ(plan::FoldStackEntries(1, one), 0);
}

int64_t AddressSpaceInUse() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

TEST(LaneFold, AllocatesAsManyArenasAsItSays) {
  constexpr int64_t kElements = 1 << 22;  // 16 MiB an arena: dwarfs whatever else is allocated meanwhile
  for (const LaneRange run : {LaneRange{0, 1}, {0, 2}, {0, 8}, {1, 8}, {3, 21}, {0, 21}}) {
    const std::vector<LaneRange> nodes = MaximalNodes(21, run);
    const std::vector<std::byte*> pieces(nodes.size(), nullptr);
    const int64_t before = AddressSpaceInUse();
    const LaneFold fold(21, nodes, pieces, kElements, DType::kF32);
    const double arenas = static_cast<double>(AddressSpaceInUse() - before) / (kElements * sizeof(float));
    EXPECT_NEAR(arenas, plan::FoldStackEntries(21, nodes), 0.25) << run.begin << " to " << run.end;
  }
}

}  // namespace
}  // namespace lockstep::step

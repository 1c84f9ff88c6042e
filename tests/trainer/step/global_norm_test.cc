#include "trainer/step/global_norm.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "comm/local/local_communicator.h"

namespace lockstep::step {
namespace {

/// Sums of squares over eighteen decades: their sum depends on the order.
std::vector<double> RandomChunkSums(int64_t chunks) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> exponent(-9, 9);
  std::vector<double> sums(static_cast<size_t>(chunks));
  for (double& sum : sums) sum = std::pow(10.0, exponent(random));
  return sums;
}

struct Arena {
  int64_t elements;
  int64_t parameters;  ///< of them
  int64_t bucket;
};

/// On every rank the norm is that of the first chunks in index order, and the chunk sums are those of their owners.
void ExpectNorm(const Arena& arena, int ranks) {
  const int64_t chunks = (arena.elements + kChunkElements - 1) / kChunkElements;
  const std::vector<double> sums = RandomChunkSums(chunks);
  double total = 0;
  for (int64_t k = 0; k < arena.parameters / kChunkElements; ++k) total += sums[static_cast<size_t>(k)];
  std::atomic<int> equal = 0;
  comm::RunLocalWorld({.world_size = ranks}, [&](comm::Communicator& comm) {
    const comm::SliceMap slices(comm::CutBuckets(arena.elements, arena.bucket), ranks);
    std::vector<double> mine(sums.size(), std::numeric_limits<double>::quiet_NaN());
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
      const ElementRange range = slices.slice(bucket, comm.rank());
      for (int64_t at = range.begin; at < range.end; at += kChunkElements) {
        const auto k = static_cast<size_t>(at / kChunkElements);
        mine[k] = sums[k];
      }
    }
    const double norm = GlobalNorm(comm, slices, mine, arena.parameters, 7);
    equal += mine == sums && std::bit_cast<uint64_t>(norm) == std::bit_cast<uint64_t>(std::sqrt(total));
  });
  EXPECT_EQ(equal, ranks) << arena.elements << " elements in buckets of " << arena.bucket;
}

TEST(GlobalNorm, IsTheSameOnEveryRankAndOnAnyNumberOfThem) {
  for (int ranks : {1, 2, 3, 5}) {
    ExpectNorm({40 * kChunkElements, 40 * kChunkElements, 7 * kChunkElements}, ranks);
    ExpectNorm({40 * kChunkElements, 33 * kChunkElements, kChunkElements}, ranks);
    ExpectNorm({40 * kChunkElements, 0, 100 * kChunkElements}, ranks);
  }
}

TEST(GlobalNorm, RanksMayOwnNothing) { ExpectNorm({2 * kChunkElements, kChunkElements, kChunkElements}, 5); }

TEST(GlobalNorm, AnInfiniteChunkIsSeenByAll) {
  std::atomic<int> seen = 0;
  comm::RunLocalWorld({.world_size = 3}, [&](comm::Communicator& comm) {
    const comm::SliceMap slices({{0, 3 * kChunkElements}}, 3);
    std::vector<double> sums(3);
    if (comm.rank() == 1) sums[1] = std::numeric_limits<double>::infinity();
    seen += std::isinf(GlobalNorm(comm, slices, sums, 3 * kChunkElements, 0)) && std::isinf(sums[1]);
  });
  EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace lockstep::step

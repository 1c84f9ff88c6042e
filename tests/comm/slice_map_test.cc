#include "comm/slice_map.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace lockstep::comm {
namespace {

class SliceMapTest : public testing::TestWithParam<std::tuple<int64_t, int64_t, int>> {};

TEST_P(SliceMapTest, TilesEveryBucketInWholeChunksDealtFairly) {
  const auto [elements, target, world_size] = GetParam();
  const SliceMap map(CutBuckets(elements, target), world_size);
  std::vector<int64_t> chunks_of(static_cast<size_t>(world_size), 0);
  int64_t next = 0;
  for (int bucket = 0; bucket < map.buckets(); ++bucket) {
    EXPECT_EQ(map.bucket(bucket).begin, next);
    int64_t fewest = INT64_MAX, most = 0;
    for (int rank = 0; rank < world_size; ++rank) {
      const ElementRange slice = map.slice(bucket, rank);
      ASSERT_EQ(slice.begin, next);
      ASSERT_LE(slice.begin, slice.end);
      EXPECT_TRUE(slice.begin % kChunkElements == 0 || slice.begin == elements);
      EXPECT_TRUE(slice.end % kChunkElements == 0 || slice.end == elements);
      const int64_t chunks = (slice.size() + kChunkElements - 1) / kChunkElements;
      fewest = std::min(fewest, chunks);
      most = std::max(most, chunks);
      chunks_of[static_cast<size_t>(rank)] += chunks;
      next = slice.end;
    }
    EXPECT_LE(most - fewest, 1);
    EXPECT_EQ(map.bucket(bucket).end, next);
  }
  EXPECT_EQ(next, elements);
  EXPECT_LE(
      *std::max_element(chunks_of.begin(), chunks_of.end()) - *std::min_element(chunks_of.begin(), chunks_of.end()), 1);
  int64_t owned = 0;
  for (int rank = 0; rank < world_size; ++rank) owned += map.owned(rank);
  EXPECT_EQ(owned, elements);
}

INSTANTIATE_TEST_SUITE_P(ManySizes, SliceMapTest,
                         testing::Combine(testing::Values(1, 4095, 4096, 4097, 3 * 4096, 1'000'003),
                                          testing::Values(4096, 5 * 4096, 64 * 4096),
                                          testing::Values(1, 2, 3, 5, 8, 64, 300)));

TEST(CutBucketsTest, MakesBucketsOfAboutTheTarget) {
  for (int64_t elements : {4096, 50'000, 1'000'000, 12'345'678}) {
    const int64_t target = 8 * kChunkElements;
    for (const ElementRange& bucket : CutBuckets(elements, target)) {
      EXPECT_LE(bucket.size(), 2 * target);
      EXPECT_GE(bucket.size(), std::min(elements, target / 2));
    }
  }
}

TEST(CutBucketsTest, AnEmptyArenaHasNone) {
  EXPECT_TRUE(CutBuckets(0, kChunkElements).empty());
  EXPECT_EQ(SliceMap({}, 3).owned(2), 0);
}

TEST(SliceMapTest, RefusesBucketsThatLeaveAGapOrBeginInsideAChunk) {
  EXPECT_THROW(SliceMap({{0, 4096}, {8192, 9000}}, 2), Error);
  EXPECT_THROW(SliceMap({{0, 100}, {100, 9000}}, 2), Error);
}

}  // namespace
}  // namespace lockstep::comm

#include "comm/slice_map.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lockstep::comm {

SliceMap::SliceMap(std::vector<ElementRange> buckets, int world_size)
    : buckets_(std::move(buckets)), world_size_(world_size) {
  CHECK(world_size >= 1, "world size {}", world_size);
  int64_t end = 0;
  int longer = 0;
  for (const ElementRange& bucket : buckets_) {
    CHECK(bucket.begin == end && bucket.end > bucket.begin && bucket.begin % kChunkElements == 0,
          "bucket [{}, {}) after {}", bucket.begin, bucket.end, end);
    end = bucket.end;
    first_longer_.push_back(longer);
    longer = static_cast<int>((longer + ChunkCount(bucket.size()) % world_size) % world_size);
  }
}

ElementRange SliceMap::slice(int bucket, int rank) const {
  CHECK(0 <= bucket && bucket < buckets() && 0 <= rank && rank < world_size_, "bucket {}, rank {}", bucket, rank);
  const ElementRange& whole = buckets_[static_cast<size_t>(bucket)];
  const int64_t chunks = ChunkCount(whole.size());
  const int64_t each = chunks / world_size_;
  const int64_t longer = chunks % world_size_;
  const int64_t first = first_longer_[static_cast<size_t>(bucket)];
  // The longer slices are those of ranks first, first + 1, ... (longer of them, modulo world_size).
  const auto begin_of = [&](int64_t r) {
    const int64_t wrapped = std::max<int64_t>(0, first + longer - world_size_);
    const int64_t longer_before = std::min(r, wrapped) + std::clamp<int64_t>(r - first, 0, longer - wrapped);
    return std::min(whole.begin + (each * r + longer_before) * kChunkElements, whole.end);
  };
  return {begin_of(rank), begin_of(rank + 1)};
}

int64_t SliceMap::owned(int rank) const {
  int64_t elements = 0;
  for (int bucket = 0; bucket < buckets(); ++bucket) elements += slice(bucket, rank).size();
  return elements;
}

std::vector<ElementRange> CutBuckets(int64_t elements, int64_t target) {
  CHECK(elements >= 0 && target >= kChunkElements && target % kChunkElements == 0, "{} elements, target {}", elements,
        target);
  std::vector<ElementRange> buckets;
  if (elements == 0) return buckets;
  const int64_t chunks = ChunkCount(elements);
  const int64_t count = std::clamp<int64_t>((elements + target / 2) / target, 1, chunks);
  for (int64_t i = 0; i < count; ++i) {
    buckets.push_back(
        {chunks * i / count * kChunkElements, std::min(chunks * (i + 1) / count * kChunkElements, elements)});
  }
  return buckets;
}

}  // namespace lockstep::comm

// Who owns what: buckets are contiguous runs of an arena, each cut into one slice per rank, in whole chunks. Pure
// functions, the same on every rank.
#pragma once

#include <cstdint>
#include <vector>

#include "base/arena.h"

namespace lockstep::comm {

class SliceMap {
 public:
  /// Buckets tile [0, buckets.back().end) and begin at chunk edges.
  SliceMap(std::vector<ElementRange> buckets, int world_size);

  int buckets() const { return static_cast<int>(buckets_.size()); }
  int world_size() const { return world_size_; }
  const ElementRange& bucket(int bucket) const { return buckets_[static_cast<size_t>(bucket)]; }
  /// The part of `bucket` that `rank` owns; may be empty. Whole chunks, dealt in rank order, lengths differ by at most
  /// one chunk, also of what they own over all buckets: the longer slices of a bucket go on where the last one's ended.
  ElementRange slice(int bucket, int rank) const;
  /// Owned elements of `rank` over all buckets.
  int64_t owned(int rank) const;

 private:
  std::vector<ElementRange> buckets_;
  int world_size_;
  std::vector<int> first_longer_;  ///< by bucket: its first rank with a longer slice, after the last one's last
};

/// Cuts an arena of `elements` into buckets of about `target` elements (a multiple of kChunkElements).
std::vector<ElementRange> CutBuckets(int64_t elements, int64_t target);

}  // namespace lockstep::comm

// What this rank owns: its slices of the weights' companions (optimizer state, EMA, best weights), bucket after bucket,
// packed without gaps (`offset`), and how they go into and out of checkpoints. The weights themselves lie in the
// exchange's arena.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "comm/slice_map.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::step {

class OwnedState {
 public:
  /// Returns when what this rank owns of `bucket`, weights and companions, may change.
  using AwaitReader = std::function<void(int bucket)>;

  using Allocate = std::function<Buffer(size_t bytes)>;

  /// `arrays` names the companions; the array "weights" comes before them in checkpoints. `allocate` gives their
  /// memory, zeroed.
  OwnedState(comm::SliceMap slices, int rank, std::vector<std::string> arrays, const Allocate& allocate);

  int buckets() const { return slices_.buckets(); }
  ElementRange slice(int bucket) const { return slices_.slice(bucket, rank_); }
  int64_t owned() const { return owned_; }
  /// Where the owned slice of `bucket` begins in what is packed like an array of this.
  int64_t offset(int bucket) const { return offset_[static_cast<size_t>(bucket)]; }
  const std::vector<std::string>& arrays() const { return arrays_; }
  /// The part of array `array` for the owned slice of `bucket`.
  std::span<float> data(int array, int bucket) const;

  /// Somebody reads beside training. A step awaits that reader bucket by bucket, before it changes one, and all of it
  /// before it ends, so between steps nobody reads but who began there. Null: nobody reads.
  void SetReader(AwaitReader await) { await_reader_ = std::move(await); }
  void AwaitReaderOf(int bucket) const {
    if (await_reader_) await_reader_(bucket);
  }
  void AwaitReaderOfAll() const {
    for (int bucket = 0; bucket < buckets(); ++bucket) AwaitReaderOf(bucket);
  }

  /// All that this rank owns, for a checkpoint; array 0 is `weights`.
  std::vector<checkpoint::OwnedRange> Ranges(std::span<const float> weights) const;
  /// The sizes of the ranges that `rank` has in a checkpoint, in elements.
  std::vector<int64_t> RangeSizes(int rank) const;
  /// Fills the owned slices of all arrays, and of `weights`. Throws Error(kCheckpoint) where an array is missing.
  void Load(const checkpoint::Reader& reader, std::span<float> weights);

 private:
  const comm::SliceMap slices_;
  int rank_;
  std::vector<std::string> arrays_;
  int64_t owned_ = 0;
  std::vector<int64_t> offset_;  ///< by bucket
  std::vector<Buffer> memory_;   ///< by array
  AwaitReader await_reader_;
};

}  // namespace lockstep::step

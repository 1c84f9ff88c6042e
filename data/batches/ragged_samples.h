// What batches of ragged samples (pooled_batches.h, token_batches.h) have in common: samples with their lengths, and a
// cache of what was made of them.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "data/dataset.h"
#include "data/sampler.h"
#include "data/transform.h"

namespace lockstep::data {

/// A sample, and what must be known of it before it is read.
struct MeasuredSample {
  Sampler::Pick pick;
  int64_t length = 0;
  uint64_t labels = 0;
};

inline bool Shorter(const MeasuredSample& a, const MeasuredSample& b) { return a.length < b.length; }

/// Thread-safe.
class RaggedSamples {
 public:
  RaggedSamples(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform)
      : dataset_(std::move(dataset)), transform_(std::move(transform)) {}

  /// `size` is memory that is used again.
  MeasuredSample Of(Sampler::Pick pick, SampleSize& size) const {
    dataset_->Measure(pick.epoch, pick.id, size);
    return {pick, transform_->SequenceLength(size.lengths, pick.epoch, pick.id, /*augment=*/true), size.labels};
  }
  /// Whether samples may be longer or shorter in another epoch.
  bool changes() const { return dataset_->traits().resized || transform_->stretches(); }

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<const Transform> transform_;
};

/// A keyed permutation of [0, count), other than the samples' own.
Sampler OrderOf(uint64_t count, uint64_t seed, uint64_t key);

/// Thread-safe. The last few that were made: threads ask for those of neighbouring steps.
template <typename T>
class RecentlyMade {
 public:
  /// What `make` makes for `key`, kept or made now. Others that ask for the same key wait; other keys are not held up.
  template <typename Make>
  std::shared_ptr<const T> Get(uint64_t key, const Make& make) {
    const std::shared_ptr<Entry> entry = Find(key);
    std::call_once(entry->made, [&] { entry->value = std::make_shared<const T>(make()); });
    return entry->value;
  }

 private:
  struct Entry {
    std::once_flag made;
    std::shared_ptr<const T> value;
  };

  std::shared_ptr<Entry> Find(uint64_t key) {
    const MutexLock lock(mutex_);
    for (const auto& [of, entry] : entries_)
      if (of == key) return entry;
    constexpr size_t kKept = 4;
    if (entries_.size() == kKept) entries_.pop_back();
    entries_.emplace_front(key, std::make_shared<Entry>());
    return entries_.front().second;
  }

  Mutex mutex_;
  std::list<std::pair<uint64_t, std::shared_ptr<Entry>>> entries_ GUARDED_BY(mutex_);
};

/// Lengths of training samples: the least that there is at first, and the most that an epoch and augmentation can make
/// of one.
struct LengthRange {
  int64_t least = 0, most = 0;
  uint64_t longest_id = 0;
};
LengthRange RangeOfLengths(const Dataset& dataset, const Transform& transform);

}  // namespace lockstep::data

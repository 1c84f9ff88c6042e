#include "data/batches/ragged_samples.h"

#include <algorithm>
#include <limits>

#include "base/philox.h"

namespace lockstep::data {

Sampler OrderOf(uint64_t count, uint64_t seed, uint64_t key) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  return Sampler(count, Mix64(Mix64(seed ^ kGolden) + kGolden * (key + 1)));
}

LengthRange RangeOfLengths(const Dataset& dataset, const Transform& transform) {
  LengthRange range{std::numeric_limits<int64_t>::max(), 0, 0};
  SampleSize size;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Measure(0, id, size);
    range.least = std::min(range.least, transform.SequenceLength(size.lengths, 0, id, /*augment=*/false));
    dataset.MeasureLargest(id, size);
    const int64_t most = transform.LongestSequence(size.lengths);
    if (most > range.most) {
      range.most = most;
      range.longest_id = id;
    }
  }
  return range;
}

}  // namespace lockstep::data

#include "data/dataset.h"

#include <utility>

namespace lockstep::data {

const SourceTraits& Dataset::traits() const {
  static const SourceTraits plain;
  return plain;
}

void Dataset::Measure(uint64_t /*epoch*/, uint64_t /*id*/, SampleSize& size) const {
  size.labels = traits().labels;
  size.lengths.clear();
}

void Dataset::MeasureLargest(uint64_t id, SampleSize& size) const { Measure(0, id, size); }

SampleText Dataset::Describe(uint64_t /*epoch*/, uint64_t /*id*/) const { return {}; }

std::string Dataset::TextOf(std::span<const int32_t> labels) const {
  return traits().text_of ? traits().text_of(labels) : std::string();
}

uint64_t Dataset::labels(uint64_t epoch, uint64_t id) const {
  if (uniform_labels()) return traits().labels;
  SampleSize size;
  Measure(epoch, id, size);
  return size.labels;
}

void Dataset::Lengths(uint64_t epoch, uint64_t id, std::vector<int64_t>& lengths) const {
  SampleSize size;
  Measure(epoch, id, size);
  lengths = std::move(size.lengths);
}

uint64_t Dataset::TextBytes(uint64_t first, uint64_t count) const {
  if (!traits().text_bytes) return 0;
  uint64_t sum = 0;
  for (uint64_t id = first; id < first + count; ++id) sum += Describe(0, id).text_bytes;
  return sum;
}

}  // namespace lockstep::data

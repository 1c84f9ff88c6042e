#include "trainer/step/owned_state.h"

#include "base/error.h"

namespace lockstep::step {

OwnedState::OwnedState(comm::SliceMap slices, int rank, std::vector<std::string> arrays, const Allocate& allocate)
    : slices_(std::move(slices)), rank_(rank), arrays_(std::move(arrays)) {
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket) {
    offset_.push_back(owned_);
    owned_ += slice(bucket).size();
  }
  for (size_t array = 0; array < arrays_.size(); ++array)
    memory_.push_back(allocate(static_cast<size_t>(owned_) * sizeof(float)));
}

std::span<float> OwnedState::data(int array, int bucket) const {
  return memory_[static_cast<size_t>(array)].As<float>().subspan(static_cast<size_t>(offset(bucket)),
                                                                 static_cast<size_t>(slice(bucket).size()));
}

std::vector<checkpoint::OwnedRange> OwnedState::Ranges(std::span<const float> weights) const {
  std::vector<checkpoint::OwnedRange> ranges;
  for (int bucket = 0; bucket < buckets(); ++bucket) {
    const ElementRange range = slice(bucket);
    if (range.size() == 0) continue;
    ranges.push_back(
        {0, range.begin, weights.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()))});
  }
  for (size_t array = 0; array < arrays_.size(); ++array)
    for (int bucket = 0; bucket < buckets(); ++bucket)
      if (slice(bucket).size() > 0)
        ranges.push_back(
            {static_cast<uint32_t>(array + 1), slice(bucket).begin, data(static_cast<int>(array), bucket)});
  return ranges;
}

std::vector<int64_t> OwnedState::RangeSizes(int rank) const {
  std::vector<int64_t> sizes;
  for (size_t array = 0; array <= arrays_.size(); ++array)
    for (int bucket = 0; bucket < buckets(); ++bucket) sizes.push_back(slices_.slice(bucket, rank).size());
  return sizes;
}

void OwnedState::Load(const checkpoint::Reader& reader, std::span<float> weights) {
  const auto find = [&](const std::string& name) {
    const int array = reader.ArrayIndex(name);
    if (array < 0)
      throw Error(
          ErrorKind::kCheckpoint, fmt::format("the checkpoint has no array \"{}\"", name), reader.folder(),
          "it was written by another optimizer; start anew with --fresh, or take its weights with train.init_from");
    return array;
  };
  const int weights_array = find("weights");
  for (int bucket = 0; bucket < buckets(); ++bucket) {
    const ElementRange range = slice(bucket);
    if (range.size() == 0) continue;
    reader.Read(weights_array, range.begin,
                weights.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size())));
    for (size_t array = 0; array < arrays_.size(); ++array)
      reader.Read(find(arrays_[array]), range.begin, data(static_cast<int>(array), bucket));
  }
}

}  // namespace lockstep::step

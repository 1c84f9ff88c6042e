#include "data/formats/array_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace lockstep::data {

uint64_t KeptSamples::Count() const { return static_cast<uint64_t>(std::count(kept_.begin(), kept_.end(), 1)); }

void KeptSamples::Drop(size_t sample, const Error& error) {
  Drop(sample);
  broken_.Tell(error);
}

Column KeptSamples::Keep(Column column) const {
  if (std::find(kept_.begin(), kept_.end(), 0) == kept_.end()) return column;
  const auto bytes = static_cast<size_t>(column.field.shape.size() * SizeOf(column.field.dtype));
  Column kept{column.field, {}};
  for (size_t sample = 0; sample < kept_.size(); ++sample) {
    const auto row = column.values().subspan(sample * bytes, bytes);
    if (kept_[sample] != 0) kept.bytes.insert(kept.bytes.end(), row.begin(), row.end());
  }
  return kept;
}

std::vector<std::byte> ReadFloats(const NamedArray& array, KeptSamples& kept) {
  const NpyHeader& type = array.array.header;
  const std::span<const std::byte> elements = array.array.elements();
  const size_t columns = RowElements(type);
  std::vector<std::byte> bytes(elements.size() / type.width * sizeof(float));
  auto* output = reinterpret_cast<float*>(bytes.data());
  for (size_t sample = 0; sample < kept.samples(); ++sample) {
    const std::byte* const row = elements.data() + sample * columns * type.width;
    for (size_t i = 0; i < columns; ++i) {
      const float value = LoadNumber(row + i * type.width, type);
      output[sample * columns + i] = value;
      if (std::isfinite(value) || !kept.Has(sample)) continue;
      kept.Drop(sample, array.origin.Bad(fmt::format("{}: {} is no finite 32-bit float", PlaceOf(type, sample, i),
                                                     NumberText(row + i * type.width, type)),
                                         "fill it (numpy.nan_to_num), or leave the row out of all arrays"));
    }
  }
  return bytes;
}

void RequireSamples(const NamedArray& array, const std::string& what, const KeptSamples& kept, const Origin& first) {
  const std::vector<int64_t>& shape = array.array.header.shape;
  if (static_cast<size_t>(shape[0]) == kept.samples()) return;
  throw array.origin.Bad(
      fmt::format("there are {} {} for {} samples of {}", shape[0], what, kept.samples(), first.path));
}

}  // namespace lockstep::data

// Any bytes as NumPy arrays, or as a file of several: a data set, or Error(kData), and nothing else.
//
// The input is a byte that says what the second array is, the length of the first (two bytes, little-endian), and both.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "data/formats/archive.h"
#include "data/formats/arrays.h"

namespace {

using namespace lockstep::data;

std::vector<std::byte> Copy(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)), files = bytes.subspan(3);
  const size_t split = std::min<size_t>(data[1] | data[2] << 8, files.size());
  const Origin inputs{"x.npy", "data.train.arrays.inputs"}, answers{"y.npy", "data.train.arrays.labels"};
  try {
    ArrayOptions options;
    if ((data[0] & 4) != 0) options.classes = 3;
    if ((data[0] & 8) != 0) options.on_broken = [](const lockstep::Error&) {};
    ArraySet arrays{.inputs = NamedArray{ReadNpy(Copy(files.first(split)), inputs), inputs}};
    const auto second = [&] { return NamedArray{ReadNpy(Copy(files.subspan(split)), answers), answers}; };
    if ((data[0] & 1) != 0) arrays.labels = second();
    if ((data[0] & 3) == 2) arrays.targets = second();
    if ((data[0] & 16) != 0)
      arrays.fields.push_back(
          {.name = "field", .role = static_cast<FieldArray::Role>(data[0] >> 5 & 3), .array = second()});
    const MemoryDataset dataset(ReadArrays(std::move(arrays), options), {});
    Sample sample;
    for (uint64_t id = 0; id < dataset.size(); ++id) dataset.Read(0, id, sample);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}

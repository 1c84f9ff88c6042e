// Any bytes as a pair of IDX files, plain or gzipped: a data set, or Error(kData), and nothing else.
//
// The input is the length of the image file (two bytes, little-endian), the image file, the label file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "data/formats/idx.h"
#include "data/unpack.h"

namespace {

using lockstep::data::Origin;

std::vector<std::byte> Unpacked(std::span<const std::byte> file, const Origin& origin) {
  if (lockstep::data::IsGzip(file)) return lockstep::data::Gunzip(file, origin);
  return {file.begin(), file.end()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto files = bytes.subspan(2);
  const size_t split = std::min<size_t>(data[0] | data[1] << 8, files.size());
  const Origin images{"images", "data.train.idx.images"}, labels{"labels", "data.train.idx.labels"};
  try {
    auto image_bytes = Unpacked(files.first(split), images);
    const auto label_bytes = Unpacked(files.subspan(split), labels);
    const lockstep::data::MemoryDataset dataset(
        lockstep::data::ReadIdx(std::move(image_bytes), images, label_bytes, labels), {});
    lockstep::data::Sample sample;
    for (uint64_t id = 0; id < dataset.size(); ++id) dataset.Read(0, id, sample);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}

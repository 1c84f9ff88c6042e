// Any bytes as a JPEG or PNG: a picture, or Error(kData), and nothing else; a part of it is the same as in the whole.
//
// The first byte says how it is decoded: bit 0 grey, bits 1 and 2 the reduction, bit 3 a part.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/image/decode_image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::data;
  if (size < 1) return 0;
  constexpr int64_t kMostPixels = 1 << 16;
  const auto file = std::as_bytes(std::span(data, size)).subspan(1);
  const Origin origin{"picture", "data.train.folder.path"};
  DecodeOptions options{.channels = (data[0] & 1) != 0 ? 1 : 3, .most_pixels = kMostPixels};
  try {
    const ImageHeader header = ReadImageHeader(file, origin, kMostPixels);
    if (header.reducible) options.reduction = 1 << (data[0] >> 1 & 3);
    Image whole, part;
    DecodeImage(file, options, origin, whole);
    CHECK(static_cast<int64_t>(whole.pixels.size()) == whole.height * whole.width * options.channels);
    CHECK(options.reduction > 1 || (whole.height == header.height && whole.width == header.width));
    if ((data[0] & 8) == 0) return 0;
    const int64_t top = whole.height / 3, left = whole.width / 2;
    options.region = {top, left, std::max<int64_t>(1, whole.height / 3), whole.width - left};
    DecodeImage(file, options, origin, part);
    for (int64_t y = 0; y < part.height; ++y)
      CHECK(std::equal(part.row(y), part.row(y) + part.row_bytes(), whole.row(top + y) + left * options.channels));
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}

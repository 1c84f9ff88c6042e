#include "data/image/augment.h"

#include <algorithm>

#include "base/error.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

float Normalize(float value, const Normalizer& normalizer, size_t channel) {
  return (value * normalizer.scale - normalizer.mean[channel]) / normalizer.deviation[channel];
}

/// Pixels of bytes, looked up. The number of channels is a constant where that pays: 1 and 3.
template <int kChannels>
struct ByteRow {
  std::span<const float> table;
  int channels;

  void operator()(const uint8_t* pixels, int64_t count, float* output, int64_t stride) const {
    const int depth = kChannels > 0 ? kChannels : channels;
    for (int64_t i = 0; i < count; ++i, pixels += depth, output += stride) {
      for (int c = 0; c < depth; ++c) output[c] = table[static_cast<size_t>(c * 256 + pixels[c])];
    }
  }
};

struct FloatRow {
  const Normalizer& normalizer;
  int channels;

  void operator()(const float* pixels, int64_t count, float* output, int64_t stride) const {
    for (int64_t i = 0; i < count; ++i, pixels += channels, output += stride) {
      for (int c = 0; c < channels; ++c) output[c] = Normalize(pixels[c], normalizer, static_cast<size_t>(c));
    }
  }
};

/// Cuts the output's rows out of the image; `row` normalises `count` pixels, and writes them `stride` floats apart.
template <typename T, typename Row>
void Place(std::span<const T> image, const Shape& shape, const Placement& placement, const Row& row, float* output) {
  const int64_t height = shape[0], width = shape[1], channels = shape[2];
  CHECK(static_cast<int64_t>(image.size()) == height * width * channels);
  if (placement.down == 0 && placement.right == 0 && !placement.mirror) {
    row(image.data(), height * width, output, channels);
    return;
  }
  // Columns [begin, end) of the cut are inside the image; the rest of the row is padding.
  const int64_t begin = std::clamp<int64_t>(-placement.right, 0, width);
  const int64_t end = std::clamp<int64_t>(width - placement.right, begin, width);
  for (int64_t y = 0; y < height; ++y, output += width * channels) {
    const int64_t from = y + placement.down;
    if (from < 0 || from >= height) {
      std::fill_n(output, width * channels, 0.0f);
      continue;
    }
    const T* pixels = image.data() + (from * width + begin + placement.right) * channels;
    const int64_t before = placement.mirror ? width - end : begin, after = width - before - (end - begin);
    std::fill_n(output, before * channels, 0.0f);
    std::fill_n(output + (width - after) * channels, after * channels, 0.0f);
    if (end == begin) continue;
    if (placement.mirror) {
      row(pixels, end - begin, output + (width - 1 - begin) * channels, -channels);
    } else {
      row(pixels, end - begin, output + begin * channels, channels);
    }
  }
}

/// A number in [0, count) from 32 random bits.
uint32_t Below(uint32_t bits, uint32_t count) { return static_cast<uint32_t>(uint64_t{bits} * count >> 32); }

}  // namespace

std::vector<float> ByteTable(const Normalizer& normalizer) {
  std::vector<float> table;
  for (size_t channel = 0; channel < normalizer.mean.size(); ++channel) {
    for (int byte = 0; byte < 256; ++byte) table.push_back(Normalize(static_cast<float>(byte), normalizer, channel));
  }
  return table;
}

Placement DrawPlacement(const RandomStream& stream, int shift, bool flip) {
  const Philox4 bits = stream.Group(0);
  const uint32_t offsets = 2 * static_cast<uint32_t>(shift) + 1;
  return {static_cast<int>(Below(bits.x[0], offsets)) - shift, static_cast<int>(Below(bits.x[1], offsets)) - shift,
          flip && (bits.x[2] >> 31) != 0};
}

void PlaceBytes(std::span<const uint8_t> image, const Shape& shape, std::span<const float> table,
                const Placement& placement, float* output) {
  const int channels = static_cast<int>(shape[2]);
  CHECK(static_cast<int64_t>(table.size()) == 256 * shape[2]);
  if (channels == 1) {
    Place(image, shape, placement, ByteRow<1>{table, channels}, output);
  } else if (channels == 3) {
    Place(image, shape, placement, ByteRow<3>{table, channels}, output);
  } else {
    Place(image, shape, placement, ByteRow<0>{table, channels}, output);
  }
}

void PlaceFloats(std::span<const float> image, const Shape& shape, const Normalizer& normalizer,
                 const Placement& placement, float* output) {
  CHECK(static_cast<int64_t>(normalizer.mean.size()) == shape[2]);
  Place(image, shape, placement, FloatRow{normalizer, static_cast<int>(shape[2])}, output);
}

}  // namespace lockstep::data

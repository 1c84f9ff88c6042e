#include "data/image/augment.h"

#include <algorithm>

#include "base/error.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

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
      for (int c = 0; c < channels; ++c) output[c] = normalizer.Of(pixels[c], static_cast<size_t>(c));
    }
  }
};

/// Pixels of bytes, as they are.
struct PlainRow {
  int channels;

  void operator()(const uint8_t* pixels, int64_t count, uint8_t* output, int64_t stride) const {
    if (stride == channels) {
      std::copy_n(pixels, count * channels, output);
      return;
    }
    for (int64_t i = 0; i < count; ++i, pixels += channels, output += stride) std::copy_n(pixels, channels, output);
  }
};

/// Cuts the output's rows out of the image; `row` makes what is written of `count` pixels, `stride` elements apart.
template <typename From, typename To, typename Row>
void Place(std::span<const From> image, const Shape& shape, const Placement& placement, const Row& row, To* output) {
  const int64_t height = shape[0], width = shape[1], channels = shape[2];
  CHECK(static_cast<int64_t>(image.size()) == height * width * channels);
  if (placement.down == 0 && placement.right == 0 && !placement.mirror) {
    row(image.data(), height * width, output, channels);
    return;
  }
  const Inside inside = InsideOf(shape, placement);
  const int64_t columns = inside.right - inside.left;
  const int64_t first = (placement.mirror ? width - inside.right : inside.left) + placement.right;
  for (int64_t y = 0; y < height; ++y, output += width * channels) {
    if (y < inside.top || y >= inside.bottom) {
      std::fill_n(output, width * channels, To{0});
      continue;
    }
    std::fill_n(output, inside.left * channels, To{0});
    std::fill_n(output + inside.right * channels, (width - inside.right) * channels, To{0});
    if (columns == 0) continue;
    const From* pixels = image.data() + ((y + placement.down) * width + first) * channels;
    if (placement.mirror) {
      row(pixels, columns, output + (inside.right - 1) * channels, -channels);
    } else {
      row(pixels, columns, output + inside.left * channels, channels);
    }
  }
}

/// A number in [0, count) from 32 random bits.
uint32_t Below(uint32_t bits, uint32_t count) { return static_cast<uint32_t>(uint64_t{bits} * count >> 32); }

}  // namespace

std::vector<float> ByteTable(const Normalizer& normalizer) {
  std::vector<float> table;
  for (size_t channel = 0; channel < normalizer.mean.size(); ++channel) {
    for (int byte = 0; byte < 256; ++byte) table.push_back(normalizer.Of(static_cast<float>(byte), channel));
  }
  return table;
}

Placement DrawPlacement(const RandomStream& stream, int shift, bool flip) {
  const Philox4 bits = stream.Group(0);
  const uint32_t offsets = 2 * static_cast<uint32_t>(shift) + 1;
  return {static_cast<int>(Below(bits.x[0], offsets)) - shift, static_cast<int>(Below(bits.x[1], offsets)) - shift,
          flip && (bits.x[2] >> 31) != 0};
}

Inside InsideOf(const Shape& shape, const Placement& placement) {
  const auto height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
  const int top = std::clamp(-placement.down, 0, height), left = std::clamp(-placement.right, 0, width);
  const int bottom = std::clamp(height - placement.down, top, height),
            right = std::clamp(width - placement.right, left, width);
  if (placement.mirror) return {top, width - right, bottom, width - left};
  return {top, left, bottom, right};
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

void PlacePlainBytes(std::span<const uint8_t> image, const Shape& shape, const Placement& placement, uint8_t* output) {
  Place(image, shape, placement, PlainRow{static_cast<int>(shape[2])}, output);
}

}  // namespace lockstep::data

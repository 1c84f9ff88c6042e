// What happens to one image between its bytes and the batch: normalisation, then a shift inside zero padding, then a
// mirror. Images are row-major [height, width, channels].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/philox.h"
#include "base/shape.h"

namespace lockstep::data {

/// Normalises values of one channel after the other, the same for every pixel: (x * scale - mean) / deviation in f32.
struct Normalizer {
  float scale = 1;
  std::vector<float> mean;       ///< per channel
  std::vector<float> deviation;  ///< per channel
};

/// What all bytes become: entry [channel * 256 + byte].
std::vector<float> ByteTable(const Normalizer& normalizer);

/// Where the output is cut out: output (y, x) is the normalised image's (y + down, x + right), or 0 outside; then,
/// where `mirror`, rows are reversed.
struct Placement {
  int down = 0;
  int right = 0;
  bool mirror = false;
};

/// Draws shifts uniformly from [-shift, shift], and mirrors with probability 1/2 where `flip`.
Placement DrawPlacement(const RandomStream& stream, int shift, bool flip);

/// Writes the normalised and placed image. REQUIRES: |down| <= height, |right| <= width.
void PlaceBytes(std::span<const uint8_t> image, const Shape& shape, std::span<const float> table,
                const Placement& placement, float* output);
void PlaceFloats(std::span<const float> image, const Shape& shape, const Normalizer& normalizer,
                 const Placement& placement, float* output);

}  // namespace lockstep::data

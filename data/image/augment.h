// What happens to one image between its bytes and the batch: normalisation, then a shift inside zero padding, then a
// mirror. Images are row-major [height, width, channels].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/philox.h"
#include "base/shape.h"
#include "data/transform.h"

namespace lockstep::data {

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

/// The part of a placed image that the image fills: rows [top, bottom) and columns [left, right) of the output.
struct Inside {
  int top = 0, left = 0, bottom = 0, right = 0;
};
/// REQUIRES, as below: |down| <= height, |right| <= width.
Inside InsideOf(const Shape& shape, const Placement& placement);

/// Writes the normalised and placed image.
void PlaceBytes(std::span<const uint8_t> image, const Shape& shape, std::span<const float> table,
                const Placement& placement, float* output);
void PlaceFloats(std::span<const float> image, const Shape& shape, const Normalizer& normalizer,
                 const Placement& placement, float* output);
/// Writes the placed image as the bytes that it is. Outside (InsideOf) they are 0, and mean nothing.
void PlacePlainBytes(std::span<const uint8_t> image, const Shape& shape, const Placement& placement, uint8_t* output);

}  // namespace lockstep::data

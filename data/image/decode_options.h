// What is asked of a decoder of pictures, and what it says of a picture first.
#pragma once

#include <cstdint>
#include <optional>

#include "data/image/image.h"
#include "data/origin.h"

namespace lockstep::data {

/// What a picture says of itself in front of its pixels.
struct ImageHeader {
  int64_t height = 0, width = 0;  ///< upright, in pixels
  bool reducible = false;         ///< it can be decoded at a fraction of its size
};

/// A picture of more pixels is refused before it takes memory.
inline constexpr int64_t kMostPixels = int64_t{1} << 28;

struct DecodeOptions {
  int channels = 3;  ///< 1 or 3
  /// 1, 2, 4 or 8: decodes at this fraction of height and width, rounded up. REQUIRES: 1, or the picture is reducible.
  int reduction = 1;
  /// What of the upright, reduced picture is wanted; nothing: all. What lies below it is not looked at.
  std::optional<ImageRegion> region = {};
  int64_t most_pixels = kMostPixels;
};

/// Throws Error(kData) where a picture of this height and width has no pixels, or more than `most_pixels`.
void RequirePixels(int64_t height, int64_t width, int64_t most_pixels, const Origin& origin);

}  // namespace lockstep::data

#include "data/image/convert_pixels.h"

#include <algorithm>
#include <cstring>

namespace lockstep::data {
namespace {

uint8_t GreyOf(uint32_t red, uint32_t green, uint32_t blue) {
  return static_cast<uint8_t>((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16);
}

/// a * b / 255, rounded.
uint32_t Product(uint32_t a, uint32_t b) {
  const uint32_t scaled = a * b + 128;
  return ((scaled >> 8) + scaled) >> 8;
}

/// What is left of white under an ink and black: both as 255 minus the ink.
uint32_t Light(uint32_t ink, uint32_t black) { return black - std::min(black, Product(255 - ink, black)); }

}  // namespace

void ConvertPixels(const uint8_t* from, PixelKind kind, int64_t count, int channels, uint8_t* to) {
  const int values = ValuesOf(kind);
  if (values == channels) {
    std::memcpy(to, from, static_cast<size_t>(count * channels));
    return;
  }
  for (int64_t i = 0; i < count; ++i, from += values, to += channels) {
    uint32_t red = from[0], green = from[0], blue = from[0];
    if (kind == PixelKind::kRgb) {
      green = from[1];
      blue = from[2];
    } else if (kind == PixelKind::kInvertedCmyk) {
      red = Light(from[0], from[3]);
      green = Light(from[1], from[3]);
      blue = Light(from[2], from[3]);
    }
    if (channels == 1) {
      to[0] = GreyOf(red, green, blue);
    } else {
      to[0] = static_cast<uint8_t>(red);
      to[1] = static_cast<uint8_t>(green);
      to[2] = static_cast<uint8_t>(blue);
    }
  }
}

}  // namespace lockstep::data

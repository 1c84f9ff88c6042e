// A picture of bytes in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep::data {

/// Row-major [height, width, channels] with 1 (grey) or 3 (red, green, blue) channels, the top row first.
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;

  /// What was in it is lost; its memory is used again.
  void Resize(int64_t new_height, int64_t new_width, int64_t new_channels) {
    height = new_height;
    width = new_width;
    channels = new_channels;
    pixels.resize(static_cast<size_t>(height * width * channels));
  }
  int64_t row_bytes() const { return width * channels; }
  uint8_t* row(int64_t y) { return pixels.data() + y * row_bytes(); }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * row_bytes(); }
};

/// Pixels [top, top + height) x [left, left + width) of a picture.
struct ImageRegion {
  int64_t top = 0, left = 0, height = 0, width = 0;

  bool operator==(const ImageRegion&) const = default;
};

}  // namespace lockstep::data

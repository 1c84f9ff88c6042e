// How cameras say which way up a picture is: Exif's tag Orientation (CIPA DC-008, 0x0112).
#pragma once

#include <cstddef>
#include <span>

#include "data/image/image.h"

namespace lockstep::data {

/// Pixel (y, x) of the upright picture is stored at (a, b) = (y, x), or (x, y) where `transpose`; then rows and columns
/// are counted from their other ends where `flip_rows` and `flip_columns`.
struct Orientation {
  bool transpose = false, flip_rows = false, flip_columns = false;

  bool upright() const { return !transpose && !flip_rows && !flip_columns; }
};

/// That of a TIFF header with its directory, as Exif's chunks hold them; upright where it says nothing, or nonsense.
Orientation ReadOrientation(std::span<const std::byte> tiff);

/// Where region `upright` of the upright picture lies in the stored one, which has this height and width.
ImageRegion StoredRegion(const Orientation& orientation, const ImageRegion& upright, int64_t stored_height,
                         int64_t stored_width);

/// Turns a stored region (or picture) into the upright one.
void MakeUpright(const Orientation& orientation, Image& image);

}  // namespace lockstep::data

// Encoded pictures to pixels: JPEG (baseline and progressive; grey, YCbCr, RGB, CMYK, YCCK) and PNG (all kinds),
// upright as Exif says, with the values that Pillow's convert("RGB") or convert("L") has: transparency and gamma don't
// count, of 16 bits the upper 8 are taken. JPEG's values are those of libjpeg's default ("islow") transform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "data/image/decode_options.h"

namespace lockstep::data {

/// Reads no pixels. Throws Error(kData) as DecodeImage.
ImageHeader ReadImageHeader(std::span<const std::byte> bytes, const Origin& origin, int64_t most_pixels = kMostPixels);

/// Replaces `image`. The pixels of a region are those that it has in the whole picture. Throws Error(kData) naming
/// `origin` where the bytes are no JPEG or PNG, are cut off or damaged, or have too many pixels. REQUIRES: the region
/// lies in the picture, and is not empty.
void DecodeImage(std::span<const std::byte> bytes, const DecodeOptions& options, const Origin& origin, Image& image);

}  // namespace lockstep::data

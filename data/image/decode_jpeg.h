// JPEG by libjpeg-turbo: decode_image.h says what becomes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "data/image/decode_options.h"

namespace lockstep::data {

ImageHeader ReadJpegHeader(std::span<const std::byte> bytes, const Origin& origin, int64_t most_pixels);
void DecodeJpeg(std::span<const std::byte> bytes, const DecodeOptions& options, const Origin& origin, Image& image);

}  // namespace lockstep::data

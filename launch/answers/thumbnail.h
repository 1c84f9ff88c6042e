// Small pictures that a page can hold.
#pragma once

#include <cstdint>
#include <string>

#include "data/image/image.h"

namespace lockstep::launch {

inline constexpr int64_t kThumbnailSide = 96;

/// `picture`, its longer side made `side` pixels where it is longer.
data::Image Shrink(const data::Image& picture, int64_t side);

/// Shrink(picture, side) as a PNG or JPEG file, whichever is smaller, in base64 (RFC 4648): a few KB.
std::string Thumbnail(const data::Image& picture, int64_t side = kThumbnailSide);

}  // namespace lockstep::launch

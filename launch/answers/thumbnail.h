// Small pictures that a page can hold.
#pragma once

#include <cstdint>
#include <string>

#include "data/image/image.h"

namespace lockstep::launch {

inline constexpr int64_t kThumbnailSide = 96;

/// `picture`, its longer side made kThumbnailSide pixels where it is longer, as a PNG or JPEG file, whichever is
/// smaller, in base64 (RFC 4648): a few KB.
std::string Thumbnail(const data::Image& picture);

}  // namespace lockstep::launch

// Pictures in memory as files.
#pragma once

#include <string>

#include "data/image/image.h"

namespace lockstep::launch {

/// The bytes of a PNG file.
std::string EncodePng(const data::Image& picture);
/// The bytes of a JPEG file, of quality 85.
std::string EncodeJpeg(const data::Image& picture);

}  // namespace lockstep::launch

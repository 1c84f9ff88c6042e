// From the pixels that files hold to those of an Image, with Pillow's arithmetic (Image.convert).
#pragma once

#include <cstdint>

namespace lockstep::data {

/// What a file's decoder hands out. kInvertedCmyk: cyan, magenta, yellow and black, each as 255 minus the ink, which is
/// what Adobe's programs write, and in their wake all others.
enum class PixelKind { kGrey, kRgb, kInvertedCmyk };

inline int ValuesOf(PixelKind kind) { return kind == PixelKind::kGrey ? 1 : kind == PixelKind::kRgb ? 3 : 4; }

/// Writes `count` pixels with 1 or 3 `channels`. Grey of colours is ITU-R 601's (19595 R + 38470 G + 7471 B + 2^15) >>
/// 16; grey becomes three equal values.
void ConvertPixels(const uint8_t* from, PixelKind kind, int64_t count, int channels, uint8_t* to);

}  // namespace lockstep::data

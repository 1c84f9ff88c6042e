// Draws a picture into a model's input, wherever a map puts it, by bilinear interpolation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/boxes/box_placement.h"
#include "data/image/image.h"

namespace lockstep::data {

/// Memory that DrawPicture uses again.
struct DrawScratch {
  std::vector<float> values, row;
};

/// Writes the pixels of `output` [height, width, channels] whose middle lies in tile.seen. `pixels`: those of
/// tile.placing; `table`: what their bytes are ([channel * 256 + byte]). Outside of the picture is 0.
void DrawPicture(const Image& pixels, const Tile& tile, std::span<const float> table, int64_t height, int64_t width,
                 DrawScratch& scratch, float* output);

}  // namespace lockstep::data

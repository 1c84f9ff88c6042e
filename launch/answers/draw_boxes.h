// Boxes drawn into pictures, with what they are around.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "data/image/image.h"

namespace lockstep::launch {

struct DrawnBox {
  double x = 0, y = 0, width = 0, height = 0;  ///< in pixels of the picture
  std::string label = {};  ///< written over it in capitals; what is no letter or digit of ASCII leaves a gap
  std::array<uint8_t, 3> color{};
};

/// Colours that differ well from each other, the same ones for the same number.
std::array<uint8_t, 3> BoxColor(int32_t category);

/// Draws edges and labels into `picture`, which has three channels, those of later boxes over those of earlier ones.
/// Lines are two pixels wide in pictures of up to 800 pixels, and wider in larger ones.
void DrawBoxes(std::span<const DrawnBox> boxes, data::Image& picture);

}  // namespace lockstep::launch

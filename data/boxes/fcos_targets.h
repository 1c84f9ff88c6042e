// What FCOS is trained towards (Tian et al. 2019): in cells of five maps a class, the distances to the four sides of a
// box, and how near the cell is to that box's middle. As torchvision's FCOS assigns them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "data/boxes/pixel_map.h"
#include "data/dataset.h"

namespace lockstep::data {

/// One of the maps. Of an input that its cells don't divide, cells stand nearer to each other than their size.
struct FcosMap {
  int64_t height = 0, width = 0;  ///< in cells
  int64_t size = 8;               ///< of a cell, in pixels
  int64_t down = 8, across = 8;   ///< pixels from one cell to the next
  int64_t first = 0;              ///< cells of the maps before it

  int64_t cells() const { return height * width; }
};

/// The maps of an input of that many pixels, the finest first: cells of 8, 16, 32, 64 and 128 pixels. The point of cell
/// (row, column) is (row * down, column * across).
std::array<FcosMap, 5> FcosMapsOf(int64_t height, int64_t width);

/// Of all maps.
int64_t CellsOf(std::span<const FcosMap> maps);

/// One row of each field, filled: category [cells], -1 where there is none; sides [cells, 4] (left, top, right and
/// bottom of the cell's point, in sizes of a cell), centerness [cells] and inside [cells].
struct FcosRows {
  int32_t* category = nullptr;
  float *sides = nullptr, *centerness = nullptr, *inside = nullptr;
};

/// A cell is inside, and has the category of a box, where its point lies in the box, less than 1.5 sizes of a cell from
/// its middle along both axes, and the farthest side is between 4 and 8 sizes away (of the finest map up to 8, of the
/// coarsest from 4 on). Of several such boxes the smallest counts, of equals the first. Centre-ness is the square root
/// of the ratios of the nearer to the farther side along both axes, multiplied. Sides of other cells are 1, centre-ness
/// 0. REQUIRES: boxes have an area.
void FillFcosTargets(std::span<const PlacedBox> boxes, std::span<const FcosMap> maps, const FcosRows& rows);

/// How many cells are inside: what all three losses are divided by.
LossCounts CountFcosTargets(std::span<const PlacedBox> boxes, std::span<const FcosMap> maps);

}  // namespace lockstep::data

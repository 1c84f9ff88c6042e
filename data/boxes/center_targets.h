// What a map of centres is trained towards: for each class how near each cell is to an object's centre (Zhou et al.
// 2019, "Objects as Points"), and for cells near a centre the distances to the four sides of its box (Tian et al. 2019,
// "FCOS").
#pragma once

#include <cstdint>
#include <span>

#include "data/boxes/pixel_map.h"
#include "data/dataset.h"

namespace lockstep::data {

/// Cells of `stride` x `stride` pixels; the last ones of a row or column may reach over the edge.
struct CellGrid {
  int64_t height = 0, width = 0;  ///< in cells
  int64_t stride = 1;             ///< in pixels
  int64_t categories = 0;

  /// Of an input of that many pixels.
  static CellGrid Of(int64_t height, int64_t width, int64_t stride, int64_t categories);
};

/// One row of each field, filled: heat [height, width, categories], sides [height, width, 4] (left, top, right and
/// bottom of the cell's middle, in cells) and inside [height, width].
struct CenterRows {
  float *heat = nullptr, *sides = nullptr, *inside = nullptr;
};

/// Heat is 1 at the cell of each centre, and around it a Gaussian whose deviation is a sixth of the box's height and
/// width; the largest of several objects' counts. Inside are those of the 3 x 3 cells around a centre whose middle lies
/// in the box; where boxes share a cell the one of the smaller area has it, the later of equals. Sides of other cells
/// are 1. REQUIRES: boxes have an area and lie in the input.
void FillCenterTargets(std::span<const PlacedBox> boxes, const CellGrid& grid, const CenterRows& rows);

/// How many cells those targets call centres, by class, and how many are inside.
LossCounts CountCenterTargets(std::span<const PlacedBox> boxes, const CellGrid& grid);

}  // namespace lockstep::data

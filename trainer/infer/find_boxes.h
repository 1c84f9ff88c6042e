// From what a detector answers of a picture to boxes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::infer {

/// A box in the pixels of a model's input.
struct FoundBox {
  double left = 0, top = 0, right = 0, bottom = 0;
  double score = 0;  ///< probability of an object, from 0 to 1
  int32_t category = 0;
};

/// The maps of one picture, as the program's outputs have them: center_logits [height, width, categories] and
/// side_logits [height, width, 4], logarithms of the distances from a cell's middle to left, top, right and bottom, in
/// cells.
struct CenterMaps {
  std::span<const float> centers, sides;
  int64_t height = 0, width = 0, categories = 0;
  int64_t stride = 1;  ///< pixels from one cell to the next
};

struct FindOptions {
  int most = 100;        ///< of all categories
  double least = 0.01;   ///< score
  double overlap = 0.5;  ///< intersection over union with a better box of its category, above which one is left out
};

/// Cells that are the greatest of their 3 x 3 in their category, the best first (of equals the one of the lower
/// category, then row, then column), without those that overlap a better one.
std::vector<FoundBox> FindBoxes(const CenterMaps& maps, const FindOptions& options = {});

/// Of boxes, the best first: without those that overlap a better one of their category by more than options.overlap;
/// the first `options.most` of these.
std::vector<FoundBox> WithoutOverlaps(std::span<const FoundBox> boxes, const FindOptions& options);

}  // namespace lockstep::infer

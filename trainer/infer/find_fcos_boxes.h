// From what FCOS answers of a picture to boxes, as torchvision does it.
#pragma once

#include <span>
#include <vector>

#include "data/boxes/fcos_targets.h"
#include "data/boxes/pixel_map.h"
#include "trainer/infer/find_boxes.h"

namespace lockstep::infer {

/// What is answered of one picture, as the program's outputs have it: class_logits [cells, categories], side_values
/// [cells, 4], whose positive parts are the distances from a cell's point in sizes of a cell, and centerness_logits
/// [cells].
struct FcosAnswers {
  std::span<const float> classes, sides, centerness;
  std::span<const data::FcosMap> maps;
  int64_t categories = 0;
};

/// torchvision's own: 100 boxes of a score above 0.2, without those that overlap a better one by more than 0.6.
inline constexpr FindOptions kFcosFind{.most = 100, .least = 0.2, .overlap = 0.6};

/// A cell's score of a category is sqrt(sigmoid(class) sigmoid(centerness)). Of each map the 1000 best above
/// `options.least` are taken and cut at the edges of `picture`, where the picture lies in the input; of all maps the
/// best first (of equals the one of the finer map, then of the earlier cell, then of the lower category), without those
/// that overlap a better one of their category; then the first `options.most`.
std::vector<FoundBox> FindFcosBoxes(const FcosAnswers& answers, const data::Rectangle& picture,
                                    const FindOptions& options = kFcosFind);

}  // namespace lockstep::infer

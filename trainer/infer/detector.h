// A trained detector's answers in the pixels of pictures as their files have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/annotation.h"
#include "data/dataset.h"
#include "data/image/fit_picture.h"
#include "data/transform.h"
#include "trainer/infer/find_boxes.h"
#include "trainer/infer/trained_model.h"
#include "trainer/metrics/detection/matches.h"

namespace lockstep::infer {

/// What answers follow from beside the program's outputs.
struct DetectorForm {
  data::PictureFit fit;
  int64_t height = 0, width = 0;  ///< of the maps, in cells
  int64_t stride = 1;             ///< pixels of the input from one cell to the next
  int categories = 0;
  FindOptions find = {};

  size_t cells() const { return static_cast<size_t>(height * width); }
};

/// The boxes in a picture of that size, the best first, cut at its edges. Logits are those of CenterMaps.
std::vector<metrics::Detection> Detect(const DetectorForm& form, std::span<const float> center_logits,
                                       std::span<const float> side_logits, int64_t picture_height,
                                       int64_t picture_width);

/// Of all of `samples`, pictures with the fields of data/boxes/boxed_pictures.h, by `threads` threads: the same at any
/// number of them.
std::vector<std::vector<metrics::Detection>> DetectAll(const TrainedModel& model,
                                                       const std::shared_ptr<const data::Transform>& transform,
                                                       const DetectorForm& form, const data::Dataset& samples,
                                                       int threads);

/// What should be found.
std::vector<metrics::Truth> TruthsOf(const data::AnnotatedPicture& picture);

}  // namespace lockstep::infer

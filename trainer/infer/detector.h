// A trained detector's answers in the pixels of pictures as their files have them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "data/annotation.h"
#include "data/boxes/center_targets.h"
#include "data/boxes/fcos_targets.h"
#include "data/dataset.h"
#include "data/image/fit_picture.h"
#include "data/transform.h"
#include "trainer/infer/find_boxes.h"
#include "trainer/infer/trained_model.h"
#include "trainer/metrics/detection/matches.h"

namespace lockstep::infer {

/// What answers follow from beside the program's outputs.
struct DetectorForm {
  /// Of an output of the program: its name, and how many values it has of a picture.
  struct Output {
    std::string name;
    size_t values = 0;
  };

  data::PictureFit fit;
  std::variant<data::CellGrid, std::array<data::FcosMap, 5>> cells;
  int categories = 0;
  FindOptions find = {};

  /// Those that boxes are found by: CenterMaps', or FcosAnswers', in their order.
  std::vector<Output> outputs() const;
};

/// A map of centres with that many pixels from one cell to the next.
DetectorForm CenterForm(const data::PictureFit& fit, int64_t stride, int categories);
DetectorForm FcosForm(const data::PictureFit& fit, int categories);

/// The boxes in a picture of that size, the best first, cut at its edges. `answers`: what each of form.outputs() has of
/// it.
std::vector<metrics::Detection> Detect(const DetectorForm& form, std::span<const std::span<const float>> answers,
                                       int64_t picture_height, int64_t picture_width);

/// Of all of `samples`, pictures with the fields of data/boxes/boxed_pictures.h, by `threads` threads: the same at any
/// number of them.
std::vector<std::vector<metrics::Detection>> DetectAll(const TrainedModel& model,
                                                       const std::shared_ptr<const data::Transform>& transform,
                                                       const DetectorForm& form, const data::Dataset& samples,
                                                       int threads);

/// What should be found.
std::vector<metrics::Truth> TruthsOf(const data::AnnotatedPicture& picture);

}  // namespace lockstep::infer

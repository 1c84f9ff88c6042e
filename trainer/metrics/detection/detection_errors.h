// Why detections are wrong: the kinds of errors of TIDE (Bolya et al. 2020, "TIDE: A General Toolbox for Identifying
// Object Detection Errors", section 2.2), counted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/metrics/detection/matches.h"

namespace lockstep::metrics {

/// Of each detection exactly one is counted, and of each truth that isn't a crowd `right`, `missed`, or neither where a
/// localisation or classification error is about it.
struct DetectionErrors {
  int64_t right = 0;
  int64_t ignored = 0;         ///< at least half in a crowd of its category
  int64_t classification = 0;  ///< placed well, of another category
  int64_t localisation = 0;    ///< the right category, placed badly
  int64_t both = 0;            ///< another category, placed badly
  int64_t duplicate = 0;       ///< would be right, had a higher score not taken the truth
  int64_t background = 0;      ///< where nothing is
  int64_t missed = 0;          ///< truths that nothing found, not even badly or as another category

  DetectionErrors& operator+=(const DetectionErrors& other);
  friend bool operator==(const DetectionErrors&, const DetectionErrors&) = default;
};

/// What became of one image's truths and detections.
struct FoundTruths {
  std::vector<bool> right;     ///< by detection: it has taken a truth
  std::vector<bool> in_crowd;  ///< by detection: it has not, and at least half of it lies in a crowd of its category
  std::vector<bool> found;     ///< by truth; never a crowd
};
/// As COCO's metric matches them at an IoU of 0.5, whatever their sizes: detections, from the highest score down, take
/// the truth of their category that they overlap most of those that are left, of equal overlaps the later one.
FoundTruths FindTruths(std::span<const Truth> truths, std::span<const Detection> detections);

/// Of one image, with all detections that are given. Placed well is an IoU of at least 0.5, placed badly one in
/// [0.1, 0.5). Detections take truths as in COCO's metric, whatever their sizes. Where a detection fits several kinds
/// it is of the first of localisation, classification, duplicate, both, as in TIDE's own program.
DetectionErrors CountDetectionErrors(std::span<const Truth> truths, std::span<const Detection> detections);

}  // namespace lockstep::metrics

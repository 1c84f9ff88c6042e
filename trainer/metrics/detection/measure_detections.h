// All that is said of a detector's answers to a split.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/metrics/detection/coco_eval.h"
#include "trainer/metrics/detection/detection_errors.h"
#include "trainer/metrics/detection/matches.h"

namespace lockstep::metrics {

/// Of one kind of objects. Numbers are NaN where there is none of it.
struct CategoryNumbers {
  int64_t truths = 0;             ///< that are no crowds
  double ap = 0, ap50 = 0;        ///< COCO's
  double ap50_all_points = 0;     ///< all_point_ap.h
  std::vector<double> precision;  ///< at IoU 0.5 and the recalls 0, 0.01 .. 1, of all sizes; empty where undefined
};

struct DetectionMeasures {
  int64_t images = 0;
  CocoSummary summary;
  double ap50_all_points = 0;  ///< mean over categories
  std::vector<CategoryNumbers> categories;
  double least_score = 0;  ///< of the detections whose errors are counted
  DetectionErrors errors;
};

/// `truths` and `detections`: of each image. Errors are counted of detections of at least `least_score`, those that
/// people are shown; all other numbers are of all.
DetectionMeasures MeasureDetections(std::span<const std::vector<Truth>> truths,
                                    std::span<const std::vector<Detection>> detections, int categories,
                                    double least_score);

}  // namespace lockstep::metrics

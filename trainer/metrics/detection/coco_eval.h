// COCO's metric for boxes (https://cocodataset.org/#detection-eval): the numbers of pycocotools 2.0.11, bit for bit.
//
// An image's detections of a category are taken from the highest score down. Each takes the truth that it overlaps
// most, among those that are left and overlap enough; of equal overlaps the later truth. Truths that are crowds or not
// of the size in question are ignored: they are taken only where nothing else can be, and what takes them counts
// neither as right nor as wrong; nor does a detection that takes nothing and is not of that size. From all images'
// detections in the order of their scores follow precision and recall.
//
// Images are matched one by one, in any order and anywhere (MatchImage); their records, appended in the order of
// images, give all numbers (Accumulate). Of equal scores, the detection of the earlier image comes first.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "trainer/metrics/detection/matches.h"

namespace lockstep::metrics {

struct CocoParameters {
  /// The least and largest area in pixels, both included: an object of 32^2 is small and medium.
  struct Area {
    double least = 0, largest = 0;
  };
  static constexpr double kMostArea = 1e10, kSmall = 32 * 32, kMedium = 96 * 96;

  std::vector<double> iou_thresholds = Linspace(0.5, 0.95, 10);
  std::vector<double> recall_thresholds = Linspace(0, 1, 101);
  /// All, small, medium, large.
  std::vector<Area> areas = {{0, kMostArea}, {0, kSmall}, {kSmall, kMedium}, {kMedium, kMostArea}};
  std::vector<int32_t> most_detections = {1, 10, 100};  ///< of a category in an image; ascending

  /// The doubles of numpy.linspace. REQUIRES: count >= 2.
  static std::vector<double> Linspace(double first, double last, int count);
};

/// COCO's twelve numbers: means over categories, thresholds and recalls; -1 where there is nothing to be found.
struct CocoSummary {
  double ap = -1, ap50 = -1, ap75 = -1;                             ///< average precision at IoU 0.5:0.95, 0.5, 0.75
  double ap_small = -1, ap_medium = -1, ap_large = -1;              ///< at 0.5:0.95
  double recall_1 = -1, recall_10 = -1, recall_100 = -1;            ///< average recall of at most 1, 10, 100 detections
  double recall_small = -1, recall_medium = -1, recall_large = -1;  ///< of at most 100

  /// In COCO's order.
  std::array<double, 12> Numbers() const;
};

struct CocoResult {
  std::vector<double> precision;    ///< [T][R][K][A][M]: thresholds, recalls, categories, areas, most detections
  std::vector<double> recall;       ///< [T][K][A][M]; both are -1 where a category has no truths of that size
  std::vector<double> category_ap;  ///< [K] at IoU 0.5:0.95, of all sizes and the largest `most_detections`; or -1
  CocoSummary summary;              ///< REQUIRES: thresholds, areas and most detections are those of CocoParameters()
};

/// Matches one image. Its categories may be any.
Matches MatchImage(std::span<const Truth> truths, std::span<const Detection> detections,
                   const CocoParameters& parameters = {});

/// What follows from the records of all images in their order. REQUIRES: categories are in [0, categories).
CocoResult Accumulate(const Matches& matches, int categories, const CocoParameters& parameters = {});

}  // namespace lockstep::metrics

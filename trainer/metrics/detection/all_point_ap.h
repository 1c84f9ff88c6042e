// Average precision at IoU 0.5 with all points of the curve: the older metric of Pascal VOC (since 2010), and the one
// that many publications on small data sets report as "mAP50". It differs from COCO's AP50: a detection goes to the
// truth that it overlaps most and is wrong when another took that before (COCO's looks for another one), and the area
// under the curve is exact (COCO's is a mean over 101 recalls).
//
// Images are matched one by one, in any order and anywhere; their records, appended in the order of images, give the
// numbers.
#pragma once

#include <span>
#include <vector>

#include "trainer/metrics/detection/matches.h"

namespace lockstep::metrics {

/// Matches one image, with all its detections. Boxes are as they are: widths are not larger by 1, as VOC's program has
/// them. A detection that takes no truth, and of which at least half lies in a crowd of its category, is ignored.
Matches MatchBestOverlaps(std::span<const Truth> truths, std::span<const Detection> detections);

struct AllPointAp {
  std::vector<double> categories;  ///< area under precision, made monotone, over recall; NaN of one without truths
  double mean = 0;                 ///< of those that have truths; NaN where none has
};

/// From the records of MatchBestOverlaps. REQUIRES: categories are in [0, categories).
AllPointAp AccumulateAllPoints(const Matches& matches, int categories);

}  // namespace lockstep::metrics

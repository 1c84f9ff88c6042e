#include "trainer/metrics/detection/measure_detections.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "trainer/metrics/detection/all_point_ap.h"

namespace lockstep::metrics {
namespace {

/// COCO's -1, where nothing is to be found.
double Defined(double value) { return value < 0 ? std::numeric_limits<double>::quiet_NaN() : value; }

/// Precision of a category at IoU 0.5, of all sizes and the most detections.
std::vector<double> CurveOf(const CocoResult& result, size_t category, size_t categories) {
  const CocoParameters coco;
  const size_t recalls = coco.recall_thresholds.size(), areas = coco.areas.size(), most = coco.most_detections.size();
  std::vector<double> curve;
  for (size_t recall = 0; recall < recalls; ++recall)  // threshold 0 is IoU 0.5, area 0 all sizes
    curve.push_back(result.precision[((recall * categories + category) * areas) * most + most - 1]);
  if (curve.front() < 0) curve.clear();
  return curve;
}

double Mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size());
}

DetectionErrors CountErrors(std::span<const std::vector<Truth>> truths,
                            std::span<const std::vector<Detection>> detections, double least_score) {
  DetectionErrors errors;
  for (size_t image = 0; image < truths.size(); ++image) {
    std::vector<Detection> shown;
    std::copy_if(detections[image].begin(), detections[image].end(), std::back_inserter(shown),
                 [&](const Detection& found) { return found.score >= least_score; });
    errors += CountDetectionErrors(truths[image], shown);
  }
  return errors;
}

}  // namespace

DetectionMeasures MeasureDetections(std::span<const std::vector<Truth>> truths,
                                    std::span<const std::vector<Detection>> detections, int categories,
                                    double least_score) {
  CHECK(truths.size() == detections.size());
  Matches matches, best_overlaps;
  for (size_t image = 0; image < truths.size(); ++image) {
    matches.Append(MatchImage(truths[image], detections[image]));
    best_overlaps.Append(MatchBestOverlaps(truths[image], detections[image]));
  }
  const CocoResult result = Accumulate(matches, categories);
  const AllPointAp all_points = AccumulateAllPoints(best_overlaps, categories);
  DetectionMeasures measures;
  measures.images = static_cast<int64_t>(truths.size());
  measures.summary = result.summary;
  measures.ap50_all_points = all_points.mean;
  measures.categories.resize(static_cast<size_t>(categories));
  for (const std::vector<Truth>& image : truths)
    for (const Truth& truth : image)
      if (!truth.crowd) ++measures.categories[static_cast<size_t>(truth.category)].truths;
  for (size_t i = 0; i < measures.categories.size(); ++i) {
    CategoryNumbers& numbers = measures.categories[i];
    numbers.ap = Defined(result.category_ap[i]);
    numbers.ap50_all_points = all_points.categories[i];
    numbers.precision = CurveOf(result, i, measures.categories.size());
    numbers.ap50 = Mean(numbers.precision);
  }
  measures.least_score = least_score;
  measures.errors = CountErrors(truths, detections, least_score);
  return measures;
}

}  // namespace lockstep::metrics

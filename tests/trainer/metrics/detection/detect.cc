// Detection's numbers for compare_pycocotools.py. Standard input holds cases in binary, native order, float64: the
// numbers of categories and images, then for each image the number of truths and of detections, each truth (x, y,
// width, height, category, area, crowd) and each detection (x, y, width, height, category, score). For each case
// float64 come out: the 12 numbers, precision, recall, category_ap, all-point AP of each category and its mean, and the
// counts of DetectionErrors in its order.
#include <cstdint>
#include <iostream>
#include <optional>
#include <span>
#include <vector>

#include "trainer/metrics/detection/all_point_ap.h"
#include "trainer/metrics/detection/coco_eval.h"
#include "trainer/metrics/detection/detection_errors.h"

namespace {

using namespace lockstep::metrics;

std::optional<double> Next() {
  double value = 0;
  if (!std::cin.read(reinterpret_cast<char*>(&value), sizeof value)) return std::nullopt;
  return value;
}

Box NextBox() {
  Box box;
  for (double* const side : {&box.x, &box.y, &box.width, &box.height}) *side = Next().value();
  return box;
}

void Write(std::span<const double> values) {
  std::cout.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

void Case(int categories) {
  Matches coco, all_points;
  DetectionErrors errors;
  for (auto images = static_cast<int64_t>(Next().value()); images > 0; --images) {
    std::vector<Truth> truths(static_cast<size_t>(Next().value()));
    std::vector<Detection> detections(static_cast<size_t>(Next().value()));
    for (Truth& truth : truths) {
      truth.box = NextBox();
      truth.category = static_cast<int32_t>(Next().value());
      truth.area = Next().value();
      truth.crowd = Next().value() != 0;
    }
    for (Detection& detection : detections) {
      detection.box = NextBox();
      detection.category = static_cast<int32_t>(Next().value());
      detection.score = Next().value();
    }
    coco.Append(MatchImage(truths, detections));
    all_points.Append(MatchBestOverlaps(truths, detections));
    errors += CountDetectionErrors(truths, detections);
  }
  const CocoResult result = Accumulate(coco, categories);
  Write(result.summary.Numbers());
  Write(result.precision);
  Write(result.recall);
  Write(result.category_ap);
  const AllPointAp ap = AccumulateAllPoints(all_points, categories);
  Write(ap.categories);
  Write(std::vector{ap.mean});
  for (const int64_t count : {errors.right, errors.ignored, errors.classification, errors.localisation, errors.both,
                              errors.duplicate, errors.background, errors.missed})
    Write(std::vector{static_cast<double>(count)});
}

}  // namespace

int main() {
  while (const std::optional<double> categories = Next()) Case(static_cast<int>(*categories));
}

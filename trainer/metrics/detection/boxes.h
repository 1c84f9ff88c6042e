// Boxes as COCO has them, and how far two overlap.
#pragma once

#include <cmath>

namespace lockstep::metrics {

/// In pixels; (x, y) is the upper left corner.
struct Box {
  double x = 0, y = 0, width = 0, height = 0;

  double area() const { return width * height; }
  friend bool operator==(const Box&, const Box&) = default;
};

/// Intersection over union, 0 where the boxes don't overlap: the doubles of pycocotools' bbIou, so in its order of
/// operations. Of a crowd, a truth that stands for many objects, a detection covers a part only: there it is the
/// intersection over the detection's own area.
inline double IntersectionOverUnion(const Box& detection, const Box& truth, bool crowd = false) {
  const double width =
      std::fmin(detection.width + detection.x, truth.width + truth.x) - std::fmax(detection.x, truth.x);
  if (width <= 0) return 0;
  const double height =
      std::fmin(detection.height + detection.y, truth.height + truth.y) - std::fmax(detection.y, truth.y);
  if (height <= 0) return 0;
  const double both = width * height;
  return both / (crowd ? detection.area() : detection.area() + truth.area() - both);
}

}  // namespace lockstep::metrics

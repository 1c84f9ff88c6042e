#include "launch/page/smooth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace lockstep::launch {
namespace {

constexpr size_t kFewestEvaluations = 5, kWindows = 60;

}  // namespace

Windows ChooseWindows(const std::vector<Point>& curve, const std::vector<Point>& evaluations) {
  Windows windows;
  if (evaluations.size() >= kFewestEvaluations && curve.size() >= 2 * evaluations.size()) {
    windows.between_evaluations = true;
    for (const Point& evaluation : evaluations) windows.ends.push_back(evaluation.x);
  } else {
    windows.rows = std::max<size_t>(1, (curve.size() + kWindows - 1) / kWindows);
    for (size_t last = windows.rows - 1; last < curve.size(); last += windows.rows)
      windows.ends.push_back(curve[last].x);
  }
  // What comes behind the last whole window.
  if (!curve.empty() && (windows.ends.empty() || windows.ends.back() < curve.back().x))
    windows.ends.push_back(curve.back().x);
  return windows;
}

std::vector<Point> Smooth(const std::vector<Point>& curve, const Windows& windows) {
  std::vector<Point> means;
  size_t at = 0;
  for (const double end : windows.ends) {
    Point sum;
    int count = 0;
    for (; at < curve.size() && curve[at].x <= end; ++at) {
      if (!std::isfinite(curve[at].y)) continue;
      sum.x += curve[at].x;
      sum.y += curve[at].y;
      ++count;
    }
    if (count > 0) means.push_back({sum.x / count, sum.y / count});
  }
  return means;
}

std::string InWords(const Windows& windows) {
  if (windows.between_evaluations) return "mean between evaluations";
  return windows.rows > 1 ? fmt::format("mean of {} rows", windows.rows) : "";
}

}  // namespace lockstep::launch

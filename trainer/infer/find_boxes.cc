#include "trainer/infer/find_boxes.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "trainer/metrics/detection/boxes.h"

namespace lockstep::infer {
namespace {

struct Peak {
  float logit = 0;
  int64_t category = 0, row = 0, column = 0;
};

bool Better(const Peak& a, const Peak& b) {
  if (a.logit != b.logit) return a.logit > b.logit;
  if (a.category != b.category) return a.category < b.category;
  if (a.row != b.row) return a.row < b.row;
  return a.column < b.column;
}

bool IsPeak(const CenterMaps& maps, const Peak& peak) {
  for (int64_t row = std::max<int64_t>(peak.row - 1, 0); row <= std::min(peak.row + 1, maps.height - 1); ++row)
    for (int64_t column = std::max<int64_t>(peak.column - 1, 0); column <= std::min(peak.column + 1, maps.width - 1);
         ++column)
      if (maps.centers[static_cast<size_t>((row * maps.width + column) * maps.categories + peak.category)] > peak.logit)
        return false;
  return true;
}

/// Those of at least `least`.
std::vector<Peak> Peaks(const CenterMaps& maps, double least) {
  std::vector<Peak> peaks;
  const auto threshold = static_cast<float>(std::log(least) - std::log1p(-least));
  const float* logit = maps.centers.data();
  for (int64_t row = 0; row < maps.height; ++row)
    for (int64_t column = 0; column < maps.width; ++column)
      for (int64_t category = 0; category < maps.categories; ++category, ++logit) {
        const Peak peak{*logit, category, row, column};
        if (*logit > threshold && IsPeak(maps, peak)) peaks.push_back(peak);
      }
  return peaks;
}

FoundBox BoxOf(const Peak& peak, const CenterMaps& maps) {
  constexpr float kMostLog = 4;  // as training clamps
  const float* sides = maps.sides.data() + (peak.row * maps.width + peak.column) * 4;
  const auto away = [&](int side) { return std::exp(static_cast<double>(std::min(sides[side], kMostLog))); };
  const double x = static_cast<double>(peak.column) + 0.5, y = static_cast<double>(peak.row) + 0.5;
  const auto stride = static_cast<double>(maps.stride);
  return {stride * (x - away(0)),
          stride * (y - away(1)),
          stride * (x + away(2)),
          stride * (y + away(3)),
          1 / (1 + std::exp(-static_cast<double>(peak.logit))),
          static_cast<int32_t>(peak.category)};
}

double Overlap(const FoundBox& a, const FoundBox& b) {
  const auto box = [](const FoundBox& found) {
    return metrics::Box{found.left, found.top, found.right - found.left, found.bottom - found.top};
  };
  return metrics::IntersectionOverUnion(box(a), box(b));
}

}  // namespace

std::vector<FoundBox> WithoutOverlaps(std::span<const FoundBox> boxes, const FindOptions& options) {
  std::vector<FoundBox> found;
  for (const FoundBox& box : boxes) {
    if (found.size() == static_cast<size_t>(options.most)) break;
    const bool again = std::any_of(found.begin(), found.end(), [&](const FoundBox& better) {
      return better.category == box.category && Overlap(better, box) > options.overlap;
    });
    if (!again) found.push_back(box);
  }
  return found;
}

std::vector<FoundBox> FindBoxes(const CenterMaps& maps, const FindOptions& options) {
  CHECK(static_cast<int64_t>(maps.centers.size()) == maps.height * maps.width * maps.categories &&
        static_cast<int64_t>(maps.sides.size()) == maps.height * maps.width * 4);
  std::vector<Peak> peaks = Peaks(maps, options.least);
  std::sort(peaks.begin(), peaks.end(), Better);
  if (peaks.size() > static_cast<size_t>(options.most)) peaks.resize(static_cast<size_t>(options.most));
  std::vector<FoundBox> boxes;
  for (const Peak& peak : peaks) boxes.push_back(BoxOf(peak, maps));
  return WithoutOverlaps(boxes, options);
}

}  // namespace lockstep::infer

#include "trainer/metrics/detection/all_point_ap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "trainer/metrics/detection/mean.h"

namespace lockstep::metrics {
namespace {

constexpr double kThreshold = 0.5;

/// An image's truths of a category, and which of them were found.
struct Category {
  std::vector<Truth> truths, crowds;
  std::vector<double> scores;
  std::vector<Detection> detections;
};

Outcome Match(const Detection& detection, const Category& category, std::vector<bool>& taken) {
  double best = 0;
  std::optional<size_t> nearest;
  for (size_t i = 0; i < category.truths.size(); ++i) {
    const double overlap = IntersectionOverUnion(detection.box, category.truths[i].box);
    if (nearest && overlap <= best) continue;
    best = overlap;
    nearest = i;
  }
  if (nearest && best >= kThreshold) {
    const bool right = !taken[*nearest];
    taken[*nearest] = true;
    return right ? Outcome::kRight : Outcome::kWrong;
  }
  const bool in_crowd = std::any_of(category.crowds.begin(), category.crowds.end(), [&](const Truth& crowd) {
    return IntersectionOverUnion(detection.box, crowd.box, true) >= kThreshold;
  });
  return in_crowd ? Outcome::kIgnored : Outcome::kWrong;
}

double AreaUnderCurve(const Matches& matches, std::span<const size_t> entries, std::span<const size_t> offsets) {
  int64_t wanted = 0;
  for (const size_t entry : entries) wanted += matches.truths[entry];
  if (wanted == 0) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> precision, recall = {0};
  double right = 0, counted = 0;
  for (const RankedDetection& at : RankDetections(matches, entries, std::numeric_limits<int32_t>::max())) {
    const auto outcome = static_cast<Outcome>(matches.outcomes[offsets[at.entry] + at.rank]);
    if (outcome == Outcome::kIgnored) continue;
    right += outcome == Outcome::kRight;
    ++counted;
    recall.push_back(right / static_cast<double>(wanted));
    precision.push_back(right / counted);
  }
  double area = 0, envelope = 0;
  for (size_t i = precision.size(); i-- > 0;) {
    envelope = std::max(envelope, precision[i]);
    area += envelope * (recall[i + 1] - recall[i]);
  }
  return area;
}

}  // namespace

Matches MatchBestOverlaps(std::span<const Truth> truths, std::span<const Detection> detections) {
  std::map<int32_t, Category> categories;
  for (const Truth& truth : truths) {
    Category& category = categories[truth.category];
    (truth.crowd ? category.crowds : category.truths).push_back(truth);
  }
  for (const Detection& detection : detections) {
    categories[detection.category].detections.push_back(detection);
    categories[detection.category].scores.push_back(detection.score);
  }
  Matches matches;
  for (const auto& [number, category] : categories) {
    matches.categories.push_back(number);
    matches.detections.push_back(static_cast<int32_t>(category.detections.size()));
    matches.truths.push_back(static_cast<int32_t>(category.truths.size()));
    std::vector<bool> taken(category.truths.size());
    for (const size_t place : OrderByScore(category.scores)) {
      matches.scores.push_back(category.scores[place]);
      matches.outcomes.push_back(static_cast<uint8_t>(Match(category.detections[place], category, taken)));
    }
  }
  return matches;
}

AllPointAp AccumulateAllPoints(const Matches& matches, int categories) {
  const auto entries = EntriesOfCategories(matches, categories, 1, 1);
  const std::vector<size_t> offsets = EntryOffsets(matches, 1, 1);
  AllPointAp result;
  std::vector<double> defined;
  for (const std::vector<size_t>& of_category : entries) {
    const double area = AreaUnderCurve(matches, of_category, offsets);
    result.categories.push_back(area);
    if (!std::isnan(area)) defined.push_back(area);
  }
  result.mean = NumpyMean(defined);
  return result;
}

}  // namespace lockstep::metrics

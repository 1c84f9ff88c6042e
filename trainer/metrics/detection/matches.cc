#include "trainer/metrics/detection/matches.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace lockstep::metrics {
namespace {

template <typename T>
void AppendTo(std::vector<T>& all, const std::vector<T>& next) {
  all.insert(all.end(), next.begin(), next.end());
}

bool IsHigher(double a, double b) { return a > b || (std::isnan(b) && !std::isnan(a)); }

}  // namespace

void Matches::Append(const Matches& next) {
  AppendTo(categories, next.categories);
  AppendTo(detections, next.detections);
  AppendTo(truths, next.truths);
  AppendTo(scores, next.scores);
  AppendTo(outcomes, next.outcomes);
}

std::vector<RankedDetection> RankDetections(const Matches& matches, std::span<const size_t> entries, int32_t most) {
  const std::vector<size_t> offsets = EntryOffsets(matches, 1, 1);
  std::vector<RankedDetection> ranked;
  for (const size_t entry : entries)
    for (int32_t rank = 0; rank < std::min(most, matches.detections[entry]); ++rank)
      ranked.push_back({matches.scores[offsets[entry] + rank], entry, rank});
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const RankedDetection& a, const RankedDetection& b) { return IsHigher(a.score, b.score); });
  return ranked;
}

std::vector<std::vector<size_t>> EntriesOfCategories(const Matches& matches, int categories, int64_t areas,
                                                     int64_t thresholds) {
  const size_t entries = matches.categories.size(), found = matches.scores.size();
  CHECK(matches.detections.size() == entries && matches.truths.size() == entries * areas, "{} entries", entries);
  CHECK(EntryOffsets(matches, 1, 1).back() == found && matches.outcomes.size() == found * areas * thresholds,
        "{} scores, {} outcomes", found, matches.outcomes.size());
  std::vector<std::vector<size_t>> result(categories);
  for (size_t entry = 0; entry < entries; ++entry) {
    const int32_t category = matches.categories[entry];
    CHECK(category >= 0 && category < categories, "category {} of {}", category, categories);
    result[category].push_back(entry);
  }
  return result;
}

std::vector<size_t> EntryOffsets(const Matches& matches, int64_t areas, int64_t thresholds) {
  std::vector<size_t> offsets = {0};
  for (const int32_t count : matches.detections) offsets.push_back(offsets.back() + areas * thresholds * count);
  return offsets;
}

std::vector<size_t> OrderByScore(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return IsHigher(scores[a], scores[b]); });
  return order;
}

}  // namespace lockstep::metrics

#include "trainer/metrics/detection/coco_eval.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "base/error.h"
#include "trainer/metrics/detection/mean.h"

namespace lockstep::metrics {
namespace {

/// What one image has of one category.
struct CategoryBoxes {
  std::vector<Truth> truths;
  std::vector<Detection> detections;

  /// Leaves the `most` detections of the highest scores, in that order.
  void KeepBest(size_t most) {
    std::vector<double> scores;
    for (const Detection& detection : detections) scores.push_back(detection.score);
    std::vector<Detection> best;
    for (const size_t place : OrderByScore(scores)) {
      if (best.size() == most) break;
      best.push_back(detections[place]);
    }
    detections = std::move(best);
  }
};

bool IsOutside(const CocoParameters::Area& range, double area) { return area < range.least || area > range.largest; }

/// The truths of an image and category for one range of areas: in the order in which detections try them.
class TruthsOfArea {
 public:
  TruthsOfArea(const std::vector<Truth>& truths, const CocoParameters::Area& range) : truths_(truths) {
    for (const Truth& truth : truths) ignored_.push_back(truth.crowd || IsOutside(range, truth.area));
    for (const bool ignored : {false, true})
      for (size_t i = 0; i < truths.size(); ++i)
        if (ignored_[i] == ignored) order_.push_back(i);
  }

  int32_t Wanted() const { return static_cast<int32_t>(std::count(ignored_.begin(), ignored_.end(), false)); }
  bool ignored(size_t truth) const { return ignored_[truth]; }

  /// The truth that a detection takes, which overlaps each as `overlaps` says; `taken` are those that others took.
  std::optional<size_t> Choose(std::span<const double> overlaps, double threshold,
                               const std::vector<bool>& taken) const {
    double best = std::min(threshold, 1 - 1e-10);
    std::optional<size_t> chosen;
    for (const size_t truth : order_) {
      if (taken[truth] && !truths_[truth].crowd) continue;
      if (chosen && !ignored_[*chosen] && ignored_[truth]) break;
      if (overlaps[truth] < best) continue;
      best = overlaps[truth];
      chosen = truth;
    }
    return chosen;
  }

 private:
  const std::vector<Truth>& truths_;
  std::vector<bool> ignored_;
  std::vector<size_t> order_;
};

/// Adds the outcomes of an image's detections of a category at one threshold.
void MatchAtThreshold(const CategoryBoxes& boxes, std::span<const double> overlaps, const TruthsOfArea& truths,
                      const CocoParameters::Area& range, double threshold, std::vector<uint8_t>& outcomes) {
  const size_t count = boxes.truths.size();
  std::vector<bool> taken(count);
  for (size_t i = 0; i < boxes.detections.size(); ++i) {
    const std::optional<size_t> truth = truths.Choose(overlaps.subspan(i * count, count), threshold, taken);
    Outcome outcome = IsOutside(range, boxes.detections[i].box.area()) ? Outcome::kIgnored : Outcome::kWrong;
    if (truth) {
      taken[*truth] = true;
      outcome = truths.ignored(*truth) ? Outcome::kIgnored : Outcome::kRight;
    }
    outcomes.push_back(static_cast<uint8_t>(outcome));
  }
}

void MatchCategory(int32_t category, const CategoryBoxes& boxes, const CocoParameters& parameters, Matches& matches) {
  std::vector<double> overlaps;
  for (const Detection& detection : boxes.detections) {
    matches.scores.push_back(detection.score);
    for (const Truth& truth : boxes.truths)
      overlaps.push_back(IntersectionOverUnion(detection.box, truth.box, truth.crowd));
  }
  matches.categories.push_back(category);
  matches.detections.push_back(static_cast<int32_t>(boxes.detections.size()));
  for (const CocoParameters::Area& range : parameters.areas) {
    const TruthsOfArea truths(boxes.truths, range);
    matches.truths.push_back(truths.Wanted());
    for (const double threshold : parameters.iou_thresholds)
      MatchAtThreshold(boxes, overlaps, truths, range, threshold, matches.outcomes);
  }
}

/// Precision and recall after each detection, from the highest score down.
struct Curve {
  std::vector<double> precision, recall;
  size_t size() const { return recall.size(); }
};

Curve MakeCurve(std::span<const Outcome> outcomes, int64_t wanted) {
  Curve curve;
  double right = 0, wrong = 0;
  for (const Outcome outcome : outcomes) {
    right += outcome == Outcome::kRight;
    wrong += outcome == Outcome::kWrong;
    curve.recall.push_back(right / static_cast<double>(wanted));
    curve.precision.push_back(right / (wrong + right + std::numeric_limits<double>::epsilon()));
  }
  // No lower than what comes behind it.
  for (size_t i = curve.size(); i-- > 1;) curve.precision[i - 1] = std::max(curve.precision[i - 1], curve.precision[i]);
  return curve;
}

class Accumulator {
 public:
  Accumulator(const Matches& matches, int categories, const CocoParameters& parameters)
      : matches_(matches), parameters_(parameters), categories_(categories) {
    const size_t settings = Thresholds() * categories * Areas() * Limits();
    result_.precision.assign(settings * Recalls(), -1);
    result_.recall.assign(settings, -1);
    const auto entries = EntriesOfCategories(matches, categories, Areas(), Thresholds());
    offsets_ = EntryOffsets(matches, Areas(), Thresholds());
    for (size_t category = 0; category < entries.size(); ++category)
      for (size_t limit = 0; limit < Limits(); ++limit) {
        const auto ranked = RankDetections(matches, entries[category], parameters.most_detections[limit]);
        for (size_t area = 0; area < Areas(); ++area) AddArea(category, area, limit, entries[category], ranked);
      }
    for (int category = 0; category < categories; ++category) result_.category_ap.push_back(CategoryAp(category));
    if (IsDefault()) result_.summary = Summarize();
  }

  CocoResult Take() { return std::move(result_); }

 private:
  size_t Thresholds() const { return parameters_.iou_thresholds.size(); }
  size_t Recalls() const { return parameters_.recall_thresholds.size(); }
  size_t Areas() const { return parameters_.areas.size(); }
  size_t Limits() const { return parameters_.most_detections.size(); }

  /// Place of the threshold's (and recall's) setting.
  size_t Place(size_t outer, size_t category, size_t area, size_t limit) const {
    return ((outer * categories_ + category) * Areas() + area) * Limits() + limit;
  }

  void AddArea(size_t category, size_t area, size_t limit, std::span<const size_t> entries,
               std::span<const RankedDetection> ranked) {
    int64_t wanted = 0;
    for (const size_t entry : entries) wanted += matches_.truths[entry * Areas() + area];
    if (wanted == 0) return;
    std::vector<Outcome> outcomes(ranked.size());
    for (size_t threshold = 0; threshold < Thresholds(); ++threshold) {
      for (size_t i = 0; i < ranked.size(); ++i) {
        const size_t row = area * Thresholds() + threshold, width = matches_.detections[ranked[i].entry];
        outcomes[i] = static_cast<Outcome>(matches_.outcomes[offsets_[ranked[i].entry] + row * width + ranked[i].rank]);
      }
      const Curve curve = MakeCurve(outcomes, wanted);
      result_.recall[Place(threshold, category, area, limit)] = curve.size() == 0 ? 0 : curve.recall.back();
      for (size_t recall = 0; recall < Recalls(); ++recall) {
        const size_t first =
            std::lower_bound(curve.recall.begin(), curve.recall.end(), parameters_.recall_thresholds[recall]) -
            curve.recall.begin();
        result_.precision[Place(threshold * Recalls() + recall, category, area, limit)] =
            first < curve.size() ? curve.precision[first] : 0;
      }
    }
  }

  double CategoryAp(size_t category) const {
    return Mean(result_.precision, 0, Thresholds() * Recalls(), category, category + 1, 0, Limits() - 1);
  }

  /// The mean of what is there of rows and categories, or -1. A row is a threshold, or a threshold and recall.
  double Mean(const std::vector<double>& table, size_t first_row, size_t end_row, size_t first_category,
              size_t end_category, size_t area, size_t limit) const {
    std::vector<double> values;
    for (size_t row = first_row; row < end_row; ++row)
      for (size_t category = first_category; category < end_category; ++category) {
        const double value = table[Place(row, category, area, limit)];
        if (value > -1) values.push_back(value);
      }
    return values.empty() ? -1 : NumpyMean(values);
  }

  bool IsDefault() const { return Thresholds() == 10 && Areas() == 4 && Limits() == 3; }

  CocoSummary Summarize() const {
    const auto precision = [&](size_t first, size_t end, size_t area) {
      return Mean(result_.precision, first * Recalls(), end * Recalls(), 0, categories_, area, 2);
    };
    const auto recall = [&](size_t area, size_t limit) {
      return Mean(result_.recall, 0, Thresholds(), 0, categories_, area, limit);
    };
    constexpr size_t kAll = 0, kSmall = 1, kMedium = 2, kLarge = 3;
    constexpr size_t kHalf = 0, kThreeQuarters = 5;  // thresholds of 0.5 and 0.75
    const size_t end = Thresholds();
    return {.ap = precision(0, end, kAll),
            .ap50 = precision(kHalf, kHalf + 1, kAll),
            .ap75 = precision(kThreeQuarters, kThreeQuarters + 1, kAll),
            .ap_small = precision(0, end, kSmall),
            .ap_medium = precision(0, end, kMedium),
            .ap_large = precision(0, end, kLarge),
            .recall_1 = recall(kAll, 0),
            .recall_10 = recall(kAll, 1),
            .recall_100 = recall(kAll, 2),
            .recall_small = recall(kSmall, 2),
            .recall_medium = recall(kMedium, 2),
            .recall_large = recall(kLarge, 2)};
  }

  const Matches& matches_;
  const CocoParameters& parameters_;
  const size_t categories_;
  std::vector<size_t> offsets_;
  CocoResult result_;
};

}  // namespace

std::vector<double> CocoParameters::Linspace(double first, double last, int count) {
  CHECK(count >= 2, "{} numbers", count);
  const double step = (last - first) / (count - 1);
  std::vector<double> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i + 1 == count ? last : i * step + first);
  return numbers;
}

std::array<double, 12> CocoSummary::Numbers() const {
  return {ap,       ap50,      ap75,       ap_small,     ap_medium,     ap_large,
          recall_1, recall_10, recall_100, recall_small, recall_medium, recall_large};
}

Matches MatchImage(std::span<const Truth> truths, std::span<const Detection> detections,
                   const CocoParameters& parameters) {
  std::map<int32_t, CategoryBoxes> categories;
  for (const Truth& truth : truths) categories[truth.category].truths.push_back(truth);
  for (const Detection& detection : detections) categories[detection.category].detections.push_back(detection);
  Matches matches;
  for (auto& [category, boxes] : categories) {
    boxes.KeepBest(static_cast<size_t>(parameters.most_detections.back()));
    MatchCategory(category, boxes, parameters, matches);
  }
  return matches;
}

CocoResult Accumulate(const Matches& matches, int categories, const CocoParameters& parameters) {
  return Accumulator(matches, categories, parameters).Take();
}

}  // namespace lockstep::metrics

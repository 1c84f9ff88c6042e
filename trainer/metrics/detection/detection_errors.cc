#include "trainer/metrics/detection/detection_errors.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace lockstep::metrics {
namespace {

constexpr double kForeground = 0.5, kBackground = 0.1;

/// The truth that a detection overlaps most, the first of several.
struct Nearest {
  double overlap = 0;
  std::optional<size_t> truth;

  bool IsWell() const { return overlap >= kForeground; }
  bool IsBad() const { return overlap >= kBackground && overlap < kForeground; }
};

/// The place of the truth that the detection takes.
std::optional<size_t> Take(const Detection& detection, std::span<const Truth> truths, const std::vector<bool>& found) {
  double best = kForeground;
  std::optional<size_t> chosen;
  for (size_t i = 0; i < truths.size(); ++i) {
    if (found[i] || truths[i].crowd || truths[i].category != detection.category) continue;
    const double overlap = IntersectionOverUnion(detection.box, truths[i].box);
    if (overlap < best) continue;
    best = overlap;
    chosen = i;
  }
  return chosen;
}

bool IsInCrowd(const Detection& detection, std::span<const Truth> truths) {
  return std::any_of(truths.begin(), truths.end(), [&](const Truth& truth) {
    return truth.crowd && truth.category == detection.category &&
           IntersectionOverUnion(detection.box, truth.box, true) >= kForeground;
  });
}

class Image {
 public:
  Image(std::span<const Truth> truths, std::span<const Detection> detections) : truths_(truths) {
    const FoundTruths matched = FindTruths(truths, detections);
    for (size_t i = 0; i < truths.size(); ++i) {
      const State found = matched.found[i] ? State::kFound : State::kMissed;
      state_.push_back(truths[i].crowd ? State::kCrowd : found);
    }
    for (size_t i = 0; i < detections.size(); ++i) {
      if (matched.right[i] || matched.in_crowd[i])
        ++(matched.right[i] ? errors_.right : errors_.ignored);
      else
        ++Kind(detections[i]);
    }
    errors_.missed = std::count(state_.begin(), state_.end(), State::kMissed);
  }

  const DetectionErrors& errors() const { return errors_; }

 private:
  enum class State : uint8_t { kMissed, kAlmost, kFound, kCrowd };

  Nearest Find(const Detection& detection, bool same_category) const {
    Nearest nearest;
    for (size_t i = 0; i < truths_.size(); ++i) {
      if (truths_[i].crowd || (truths_[i].category == detection.category) != same_category) continue;
      const double overlap = IntersectionOverUnion(detection.box, truths_[i].box);
      if (overlap > nearest.overlap) nearest = {overlap, i};
    }
    return nearest;
  }

  /// The counter of a detection that took no truth, and lies in no crowd.
  int64_t& Kind(const Detection& detection) {
    const Nearest same = Find(detection, true), other = Find(detection, false);
    const auto almost = [&](const Nearest& nearest) {
      if (state_[*nearest.truth] == State::kMissed) state_[*nearest.truth] = State::kAlmost;
    };
    if (same.IsBad()) {
      almost(same);
      return errors_.localisation;
    }
    if (other.IsWell()) {
      almost(other);
      return errors_.classification;
    }
    if (same.IsWell()) return errors_.duplicate;
    return other.IsBad() ? errors_.both : errors_.background;
  }

  const std::span<const Truth> truths_;
  std::vector<State> state_;
  DetectionErrors errors_;
};

}  // namespace

FoundTruths FindTruths(std::span<const Truth> truths, std::span<const Detection> detections) {
  FoundTruths matched{std::vector<bool>(detections.size()), std::vector<bool>(detections.size()),
                      std::vector<bool>(truths.size())};
  std::vector<double> scores;
  for (const Detection& detection : detections) scores.push_back(detection.score);
  for (const size_t place : OrderByScore(scores)) {
    const std::optional<size_t> truth = Take(detections[place], truths, matched.found);
    matched.right[place] = truth.has_value();
    if (truth) matched.found[*truth] = true;
    matched.in_crowd[place] = !truth && IsInCrowd(detections[place], truths);
  }
  return matched;
}

DetectionErrors& DetectionErrors::operator+=(const DetectionErrors& other) {
  for (int64_t DetectionErrors::*const counter :
       {&DetectionErrors::right, &DetectionErrors::ignored, &DetectionErrors::classification,
        &DetectionErrors::localisation, &DetectionErrors::both, &DetectionErrors::duplicate,
        &DetectionErrors::background, &DetectionErrors::missed})
    this->*counter += other.*counter;
  return *this;
}

DetectionErrors CountDetectionErrors(std::span<const Truth> truths, std::span<const Detection> detections) {
  return Image(truths, detections).errors();
}

}  // namespace lockstep::metrics

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

class Image {
 public:
  Image(std::span<const Truth> truths, std::span<const Detection> detections) {
    for (const Truth& truth : truths) (truth.crowd ? crowds_ : truths_).push_back(truth);
    state_.resize(truths_.size());
    std::vector<double> scores;
    for (const Detection& detection : detections) scores.push_back(detection.score);
    // All truths that are found are known before an error is told.
    std::vector<const Detection*> wrong;
    for (const size_t place : OrderByScore(scores))
      if (!Take(detections[place])) wrong.push_back(&detections[place]);
    for (const Detection* detection : wrong) ++Kind(*detection);
    errors_.missed = std::count(state_.begin(), state_.end(), State::kMissed);
  }

  const DetectionErrors& errors() const { return errors_; }

 private:
  enum class State : uint8_t { kMissed, kAlmost, kFound };

  bool Take(const Detection& detection) {
    double best = kForeground;
    std::optional<size_t> chosen;
    for (size_t i = 0; i < truths_.size(); ++i) {
      if (state_[i] == State::kFound || truths_[i].category != detection.category) continue;
      const double overlap = IntersectionOverUnion(detection.box, truths_[i].box);
      if (overlap < best) continue;
      best = overlap;
      chosen = i;
    }
    if (!chosen) return false;
    state_[*chosen] = State::kFound;
    ++errors_.right;
    return true;
  }

  Nearest Find(const Detection& detection, bool same_category) const {
    Nearest nearest;
    for (size_t i = 0; i < truths_.size(); ++i) {
      if ((truths_[i].category == detection.category) != same_category) continue;
      const double overlap = IntersectionOverUnion(detection.box, truths_[i].box);
      if (overlap > nearest.overlap) nearest = {overlap, i};
    }
    return nearest;
  }

  bool IsInCrowd(const Detection& detection) const {
    return std::any_of(crowds_.begin(), crowds_.end(), [&](const Truth& crowd) {
      return crowd.category == detection.category &&
             IntersectionOverUnion(detection.box, crowd.box, true) >= kForeground;
    });
  }

  /// The counter of a detection that took no truth.
  int64_t& Kind(const Detection& detection) {
    if (IsInCrowd(detection)) return errors_.ignored;
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

  std::vector<Truth> truths_, crowds_;
  std::vector<State> state_;
  DetectionErrors errors_;
};

}  // namespace

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

#include "trainer/metrics/classification.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace lockstep::metrics {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr int kTop = 5;
constexpr size_t kCalibrationBins = 15;

double Ratio(double part, double whole) { return whole == 0 ? kUndefined : part / whole; }
double Ratio(int64_t part, int64_t whole) { return Ratio(static_cast<double>(part), static_cast<double>(whole)); }

/// The mean of what is defined, by weight; where all of that has no weight, each counts alike (as in scikit-learn).
class DefinedMean {
 public:
  void Add(double value, double weight = 1) {
    if (std::isnan(value)) return;
    weighted_sum_ += value * weight;
    weight_ += weight;
    sum_ += value;
    ++count_;
  }
  double Value() const { return weight_ > 0 ? weighted_sum_ / weight_ : Ratio(sum_, count_); }

 private:
  double weighted_sum_ = 0, weight_ = 0, sum_ = 0, count_ = 0;
};

/// The area under the ROC curve from the ranks of the positives' scores (Mann and Whitney 1947), equal ones at their
/// middle rank.
double AreaUnderCurve(std::span<const float> probabilities, std::span<const int32_t> labels, int classes, int of) {
  const auto score = [&](size_t sample) { return probabilities[sample * classes + of]; };
  std::vector<size_t> order(labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (const size_t sample : order)
    if (std::isnan(score(sample))) return kUndefined;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) < score(b); });
  // Twice the rank sum, so that all of it are integers.
  int64_t ranks_twice = 0, positives = 0;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    int64_t here = 0;
    for (end = begin; end < order.size() && score(order[end]) == score(order[begin]); ++end)
      here += labels[order[end]] == of;
    ranks_twice += here * static_cast<int64_t>(begin + 1 + end);
    positives += here;
  }
  const int64_t negatives = static_cast<int64_t>(order.size()) - positives;
  const int64_t above_twice = ranks_twice - positives * (positives + 1);
  return Ratio(0.5 * static_cast<double>(above_twice), static_cast<double>(positives) * static_cast<double>(negatives));
}

bool IsAmongTop(std::span<const float> row, int32_t label) {
  const auto own = static_cast<size_t>(label);
  int ahead = 0;
  for (size_t other = 0; other < row.size(); ++other)
    ahead += row[other] > row[own] || (row[other] == row[own] && other > own) || (std::isnan(row[own]) && other != own);
  return ahead < kTop;
}

/// The bin of a probability: ((b - 1) / 15, b / 15] for b = 1 to 15, the first one with 0.
size_t CalibrationBin(double probability) {
  size_t bin = 0;
  while (bin + 1 < kCalibrationBins &&
         probability > static_cast<double>(bin + 1) / static_cast<double>(kCalibrationBins))
    ++bin;
  return bin;
}

/// What follows from probabilities, beside AUC.
void MeasureProbabilities(std::span<const float> probabilities, std::span<const int32_t> labels, int classes,
                          std::span<const int32_t> answers, Classification& result) {
  struct Bin {
    double confidence = 0;
    int64_t right = 0, samples = 0;
  };
  std::array<Bin, kCalibrationBins> bins;
  constexpr double kLeast = std::numeric_limits<double>::epsilon();
  double loss = 0;
  int64_t among_top = 0;
  bool defined = true;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = probabilities.subspan(i * classes, classes);
    defined &= std::none_of(row.begin(), row.end(), [](float p) { return std::isnan(p); });
    loss -= std::log(std::clamp(static_cast<double>(row[labels[i]]), kLeast, 1 - kLeast));
    among_top += IsAmongTop(row, labels[i]);
    const double confidence = row[answers[i]];
    Bin& bin = bins[CalibrationBin(confidence)];
    bin.confidence += confidence;
    bin.right += answers[i] == labels[i];
    ++bin.samples;
  }
  double error = 0;
  for (const Bin& bin : bins) error += std::abs(bin.confidence - static_cast<double>(bin.right));
  const auto samples = static_cast<double>(labels.size());
  result.top5 = Ratio(static_cast<double>(among_top), samples);
  result.log_loss = defined ? Ratio(loss, samples) : kUndefined;
  result.calibration_error = defined ? Ratio(error, samples) : kUndefined;
}

ClassNumbers NumbersOf(const Classification& of, int label) {
  const auto classes = static_cast<int>(of.classes.size());
  ClassNumbers numbers;
  for (int other = 0; other < classes; ++other) {
    numbers.support += of.confusion[label * classes + other];
    numbers.predicted += of.confusion[other * classes + label];
  }
  const int64_t right = of.confusion[label * classes + label];
  numbers.precision = Ratio(right, numbers.predicted);
  numbers.recall = Ratio(right, numbers.support);
  numbers.f1 = Ratio(2 * right, numbers.support + numbers.predicted);
  numbers.auc = kUndefined;
  return numbers;
}

void Average(Classification& result) {
  DefinedMean recall, auc;
  std::array<DefinedMean, 3> macro, weighted;
  for (const ClassNumbers& numbers : result.classes) {
    recall.Add(numbers.recall);
    auc.Add(numbers.auc);
    const std::array<double, 3> values = {numbers.precision, numbers.recall, numbers.f1};
    for (size_t i = 0; i < values.size(); ++i) {
      macro[i].Add(values[i]);
      weighted[i].Add(values[i], static_cast<double>(numbers.support));
    }
  }
  result.balanced_accuracy = recall.Value();
  result.auc = result.classes.size() == 2 ? result.classes[1].auc : auc.Value();
  result.macro = {macro[0].Value(), macro[1].Value(), macro[2].Value()};
  result.weighted = {weighted[0].Value(), weighted[1].Value(), weighted[2].Value()};
}

/// All that follows from answers alone.
Classification Count(std::span<const int32_t> answers, std::span<const int32_t> labels, int classes) {
  CHECK(classes >= 1 && answers.size() == labels.size(), "{} answers, {} labels", answers.size(), labels.size());
  Classification result;
  result.samples = static_cast<int64_t>(labels.size());
  result.classes.resize(classes);
  result.confusion.resize(static_cast<size_t>(classes) * classes);
  int64_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    CHECK(labels[i] >= 0 && labels[i] < classes && answers[i] >= 0 && answers[i] < classes, "sample {} is of class {}",
          i, labels[i]);
    ++result.confusion[static_cast<size_t>(labels[i]) * classes + answers[i]];
    right += labels[i] == answers[i];
  }
  for (int label = 0; label < classes; ++label) result.classes[label] = NumbersOf(result, label);
  result.accuracy = Ratio(right, result.samples);
  result.top5 = result.log_loss = result.calibration_error = kUndefined;
  return result;
}

}  // namespace

int32_t MostProbable(std::span<const float> probabilities) {
  size_t best = 0;
  for (size_t i = 1; i < probabilities.size(); ++i)
    if (probabilities[i] > probabilities[best] || (std::isnan(probabilities[best]) && !std::isnan(probabilities[i])))
      best = i;
  return static_cast<int32_t>(best);
}

Classification MeasureAnswers(std::span<const int32_t> answers, std::span<const int32_t> labels, int classes) {
  Classification result = Count(answers, labels, classes);
  Average(result);
  return result;
}

Classification MeasureClassification(std::span<const float> probabilities, std::span<const int32_t> labels,
                                     int classes) {
  CHECK(classes >= 1 && probabilities.size() == labels.size() * classes, "{} probabilities of {} samples",
        probabilities.size(), labels.size());
  std::vector<int32_t> answers;
  answers.reserve(labels.size());
  for (size_t i = 0; i < labels.size(); ++i)
    answers.push_back(MostProbable(probabilities.subspan(i * classes, classes)));
  Classification result = Count(answers, labels, classes);
  MeasureProbabilities(probabilities, labels, classes, answers, result);
  for (int label = 0; label < classes; ++label)
    result.classes[label].auc = AreaUnderCurve(probabilities, labels, classes, label);
  Average(result);
  return result;
}

}  // namespace lockstep::metrics

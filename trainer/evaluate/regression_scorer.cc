#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "trainer/evaluate/float_output.h"
#include "trainer/evaluate/scorer.h"

namespace lockstep::evaluate {
namespace {

/// `kUnexplained`: of targets that vary, squared errors as shares of the target's total sum of squares.
enum Sum { kDistances, kUnexplained };
/// Answers to targets that are the same in all samples, and not exactly that.
enum Count { kInexact };

class RegressionScorer final : public Scorer {
 public:
  RegressionScorer(std::shared_ptr<const data::Dataset> dataset, infer::AnswerForm form)
      : dataset_(std::move(dataset)), form_(std::move(form)) {
    const std::span<const data::Field> fields = dataset_->fields();
    const auto found =
        std::find_if(fields.begin(), fields.end(), [](const auto& field) { return field.name == "target"; });
    CHECK(found != fields.end(), "the samples have no target");
    field_ = static_cast<size_t>(found - fields.begin());
    MeasureTargets(static_cast<size_t>(found->shape.size()));
  }

  void Score(int, const data::LaneBatch& block, const Output& output, Scores& scores) override {
    const auto rows = static_cast<size_t>(block.fields.front().shape[0]);
    const FloatOutput outputs(output("prediction"), rows * totals_.size());
    data::Sample sample;
    for (size_t row = 0; row < block.samples.picks.size(); ++row) {
      dataset_->Read(0, block.samples.picks[row].id, sample);
      const std::span<const float> expected = sample.tensors[field_].As<float>();
      for (size_t i = 0; i < totals_.size(); ++i) {
        const double error = form_.Value(outputs[row * totals_.size() + i], i) - double{expected[i]};
        scores.sums[kDistances] += std::abs(error);
        if (totals_[i] > 0)
          scores.sums[kUnexplained] += error * error / totals_[i];
        else
          scores.counts[kInexact] += error == 0 ? 0 : 1;
      }
    }
  }

  std::vector<metrics::Metric> Result(const Scores& scores) const override {
    const auto targets = static_cast<double>(totals_.size());
    const double mae = scores.sums[kDistances] / targets / static_cast<double>(dataset_->size());
    if (dataset_->size() < 2) return {{"mae", mae}};
    const auto constant = static_cast<double>(std::count(totals_.begin(), totals_.end(), 0.0));
    double r2 = targets - constant - scores.sums[kUnexplained] + (scores.counts[kInexact] == 0 ? constant : 0);
    if (std::isnan(mae)) r2 = mae;
    return {{"mae", mae}, {"r2", r2 / targets}};
  }

 private:
  /// Total sums of squares, about the split's own mean.
  void MeasureTargets(size_t targets) {
    std::vector<double> means(targets), first;
    std::vector<bool> varies(targets);
    totals_.resize(targets);
    data::Sample sample;
    const auto each = [&](auto&& take) {
      for (uint64_t id = 0; id < dataset_->size(); ++id) {
        dataset_->Read(0, id, sample);
        const std::span<const float> values = sample.tensors[field_].As<float>();
        if (first.empty()) first.assign(values.begin(), values.end());
        for (size_t i = 0; i < targets; ++i) take(i, double{values[i]});
      }
    };
    each([&](size_t i, double value) {
      means[i] += value;
      varies[i] = varies[i] || value != first[i];
    });
    for (double& mean : means) mean /= static_cast<double>(dataset_->size());
    // The rounded mean of equal numbers may be another one.
    each([&](size_t i, double value) {
      if (varies[i]) totals_[i] += (value - means[i]) * (value - means[i]);
    });
  }

  const std::shared_ptr<const data::Dataset> dataset_;
  const infer::AnswerForm form_;
  size_t field_ = 0;            ///< of the targets
  std::vector<double> totals_;  ///< by target; 0: it is the same in all samples
};

}  // namespace

std::unique_ptr<Scorer> MakeRegressionScorer(std::shared_ptr<const data::Dataset> dataset, infer::AnswerForm form) {
  return std::make_unique<RegressionScorer>(std::move(dataset), std::move(form));
}

}  // namespace lockstep::evaluate

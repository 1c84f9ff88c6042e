#include "data/batches/make_batches.h"

#include <algorithm>

#include "base/error.h"
#include "data/batches/pooled_batches.h"
#include "data/batches/ragged_samples.h"
#include "data/batches/token_batches.h"

namespace lockstep::data {
namespace {

/// Samples of one shape.
class EvenBatches final : public Batches {
 public:
  EvenBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
              const BatchOptions& options)
      : dataset_(std::move(dataset)),
        transform_(std::move(transform)),
        sampler_(dataset_->size(), options.seed),
        leg_(options.leg),
        batch_(options.global_batch),
        rows_(options.global_batch / static_cast<uint64_t>(options.lanes)) {
    shapes_ = {{static_cast<int64_t>(rows_), 0}};
  }

  uint64_t FirstPosition(uint64_t step) const override {
    return leg_.first_position + (step - leg_.first_step) * batch_;
  }
  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    samples.first_position = FirstPosition(step) + static_cast<uint64_t>(lane) * rows_;
    samples.picks.clear();
    for (uint64_t row = 0; row < rows_; ++row) samples.picks.push_back(sampler_.At(samples.first_position + row));
    samples.shape = 0;
  }
  LossCounts Denominators(uint64_t step) const override {
    if (dataset_->uniform_labels()) return AllLosses(batch_ * dataset_->labels(0, 0));
    return *counts_.Get(step, [&] { return Count(step); });
  }
  uint64_t TotalLength(uint64_t) const override { return 0; }
  uint64_t Steps(double epochs) const override { return StepsFrom(leg_, epochs, dataset_->size(), batch_); }
  double steps_per_epoch() const override {
    return static_cast<double>(dataset_->size()) / static_cast<double>(batch_);
  }

 private:
  LossCounts Count(uint64_t step) const {
    LossCounts sums = {};
    SampleSize size;
    for (uint64_t position = FirstPosition(step), end = position + batch_; position < end; ++position) {
      const Sampler::Pick pick = sampler_.At(position);
      dataset_->Measure(pick.epoch, pick.id, size);
      const LossCounts counts = transform_->Count(size, pick.epoch, pick.id, /*augment=*/true);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
    }
    for (uint64_t& sum : sums) sum = std::max<uint64_t>(sum, 1);
    return sums;
  }

  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<const Transform> transform_;
  const Sampler sampler_;
  const Leg leg_;
  const uint64_t batch_, rows_;
  mutable RecentlyMade<LossCounts> counts_;  ///< by step: every lane's batch asks for those of its step
};

}  // namespace

std::unique_ptr<Batches> MakeBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                                     const BatchOptions& options) {
  CHECK(options.lanes >= 1 && (options.global_batch > 0) != (options.batch_tokens > 0));
  if (options.batch_tokens > 0) {
    if (!dataset->ragged())
      throw Error(ErrorKind::kUsage, "all samples are of one length: there is nothing to gather by it",
                  "train.batch_tokens", "set train.global_batch instead");
    return MakeTokenBatches(std::move(dataset), std::move(transform), options);
  }
  const auto lanes = static_cast<uint64_t>(options.lanes);
  CHECK(options.global_batch % lanes == 0, "a batch of {} in {} lanes", options.global_batch, options.lanes);
  if (options.global_batch / lanes > dataset->size()) {
    throw Error(ErrorKind::kUsage,
                fmt::format("a lane has {} samples (global_batch {} / lanes {}), more than the {} to train on",
                            options.global_batch / lanes, options.global_batch, options.lanes, dataset->size()),
                "train.global_batch", "set it lower, or lanes higher");
  }
  if (dataset->ragged()) return MakePooledBatches(std::move(dataset), std::move(transform), options);
  return std::make_unique<EvenBatches>(std::move(dataset), std::move(transform), options);
}

}  // namespace lockstep::data

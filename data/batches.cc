#include "data/batches.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "data/length_buckets.h"
#include "data/ragged_batches.h"

namespace lockstep::data {
namespace {

/// Samples of one shape.
class EvenBatches final : public Batches {
 public:
  EvenBatches(std::shared_ptr<const Dataset> dataset, const BatchOptions& options)
      : dataset_(std::move(dataset)),
        sampler_(dataset_->size(), options.seed),
        batch_(options.global_batch),
        rows_(options.global_batch / static_cast<uint64_t>(options.lanes)) {
    shapes_ = {{static_cast<int64_t>(rows_), 0}};
  }

  uint64_t FirstPosition(uint64_t step) const override { return step * batch_; }
  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    samples.first_position = step * batch_ + static_cast<uint64_t>(lane) * rows_;
    samples.picks.clear();
    for (uint64_t row = 0; row < rows_; ++row) samples.picks.push_back(sampler_.At(samples.first_position + row));
    samples.shape = 0;
  }
  uint64_t Denominator(uint64_t step) const override {
    if (dataset_->uniform_labels()) return batch_ * dataset_->labels(0, 0);
    uint64_t sum = 0;
    for (uint64_t position = step * batch_; position < (step + 1) * batch_; ++position) {
      const Sampler::Pick pick = sampler_.At(position);
      sum += dataset_->labels(pick.epoch, pick.id);
    }
    return std::max<uint64_t>(sum, 1);
  }
  uint64_t Places(uint64_t) const override { return 0; }
  uint64_t Steps(double epochs) const override { return WholeSteps(epochs, dataset_->size(), batch_); }
  double steps_per_epoch() const override {
    return static_cast<double>(dataset_->size()) / static_cast<double>(batch_);
  }

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const Sampler sampler_;
  const uint64_t batch_, rows_;
};

std::vector<int64_t> PlacesOf(const Dataset& dataset, const Transform& transform) {
  std::vector<int64_t> places, lengths;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Lengths(0, id, lengths);
    places.push_back(transform.Places(lengths, 0, id, /*augment=*/false));
  }
  return places;
}

}  // namespace

uint64_t WholeSteps(double epochs, uint64_t samples, uint64_t batch) {
  // 2.3 epochs of 100 samples are 230, though 2.3 * 100 is a little less.
  constexpr double kRounding = 1 + 1e-12;
  return static_cast<uint64_t>(epochs * static_cast<double>(samples) / static_cast<double>(batch) * kRounding);
}

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
  return std::make_unique<EvenBatches>(std::move(dataset), options);
}

Blocks::Blocks(const Dataset& dataset, const Transform& transform, std::vector<BatchShape> shapes)
    : shapes_(std::move(shapes)) {
  const uint64_t size = dataset.size();
  if (!dataset.ragged()) {
    const auto rows = static_cast<uint64_t>(shapes_.front().rows);
    for (uint64_t begin = 0; begin < size; begin += rows) blocks_.push_back({begin, std::min(begin + rows, size), 0});
    return;
  }
  const std::vector<int64_t> places = PlacesOf(dataset, transform);
  order_.resize(size);
  std::iota(order_.begin(), order_.end(), uint64_t{0});
  std::stable_sort(order_.begin(), order_.end(), [&](uint64_t a, uint64_t b) { return places[a] < places[b]; });
  for (uint64_t at = 0; at < size; ++at) {
    const int shape = ShapeFor(shapes_, places[order_[at]]);
    const bool full =
        !blocks_.empty() && static_cast<int64_t>(at - blocks_.back().begin) >= shapes_[static_cast<size_t>(shape)].rows;
    if (blocks_.empty() || full) blocks_.push_back({at, at, shape});
    blocks_.back().end = at + 1;
    blocks_.back().shape = shape;
  }
}

void Blocks::Read(int64_t block, LaneSamples& samples) const {
  CHECK(block >= 0 && block < count(), "block {} of {}", block, count());
  const Block& of = blocks_[static_cast<size_t>(block)];
  samples.first_position = of.begin;
  samples.shape = of.shape;
  samples.picks.clear();
  for (uint64_t at = of.begin; at < of.end; ++at) samples.picks.push_back({0, order_.empty() ? at : order_[at]});
}

std::vector<BatchShape> EvaluationShapes(std::span<const Dataset* const> splits, const Transform& transform,
                                         int64_t rows) {
  CHECK(!splits.empty());
  uint64_t largest = 1;
  for (const Dataset* split : splits) largest = std::max(largest, split->size());
  rows = std::clamp<int64_t>(rows, 1, static_cast<int64_t>(largest));
  if (!splits.front()->ragged()) return {{rows, 0}};
  int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
  for (const Dataset* split : splits)
    for (int64_t places : PlacesOf(*split, transform)) {
      least = std::min(least, places);
      most = std::max(most, places);
    }
  constexpr int64_t kPlaces = 4096;  // of a block: what is alive in an evaluation then stays small beside training's
  std::vector<BatchShape> shapes;
  for (int64_t bucket : BucketsBetween(least, most))
    shapes.push_back({std::clamp<int64_t>(kPlaces / bucket, 1, rows), bucket});
  return shapes;
}

}  // namespace lockstep::data

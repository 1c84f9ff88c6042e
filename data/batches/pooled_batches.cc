#include "data/batches/pooled_batches.h"

#include <algorithm>

#include "base/error.h"
#include "data/batches/length_classes.h"
#include "data/batches/ragged_samples.h"

namespace lockstep::data {
namespace {

constexpr uint64_t kPoolSteps = 8;

/// Batches of a number of samples, gathered by length within pools.
class PooledBatches final : public Batches {
 public:
  PooledBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                const BatchOptions& options)
      : sampler_(dataset->size(), options.seed),
        seed_(options.seed),
        leg_(options.leg),
        batch_(options.global_batch),
        rows_(options.global_batch / static_cast<uint64_t>(options.lanes)),
        samples_(dataset, transform) {
    const LengthRange range = RangeOfLengths(*dataset, *transform);
    for (int64_t length_class : LengthClassesBetween(range.least, range.most))
      shapes_.push_back({static_cast<int64_t>(rows_), length_class});
  }

  uint64_t FirstPosition(uint64_t step) const override {
    return leg_.first_position + (step - leg_.first_step) * batch_;
  }
  uint64_t Steps(double epochs) const override { return StepsFrom(leg_, epochs, sampler_.size(), batch_); }
  double steps_per_epoch() const override { return static_cast<double>(sampler_.size()) / static_cast<double>(batch_); }

  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    samples.first_position = FirstPosition(step) + static_cast<uint64_t>(lane) * rows_;
    samples.picks.clear();
    int64_t length = 0;
    ForEach(samples.first_position, rows_, [&](const MeasuredSample& entry) {
      samples.picks.push_back(entry.pick);
      length = std::max(length, entry.length);
    });
    samples.shape = ShapeFor(shapes_, length);
  }

  LossCounts Denominators(uint64_t step) const override {
    uint64_t sum = 0;
    ForEach(FirstPosition(step), batch_, [&](const MeasuredSample& entry) { sum += entry.labels; });
    return AllLosses(std::max<uint64_t>(sum, 1));
  }
  uint64_t TotalLength(uint64_t step) const override {
    uint64_t sum = 0;
    ForEach(FirstPosition(step), batch_,
            [&](const MeasuredSample& entry) { sum += static_cast<uint64_t>(entry.length); });
    return sum;
  }

 private:
  using Pool = std::vector<MeasuredSample>;  // by position

  template <typename F>
  void ForEach(uint64_t position, uint64_t count, const F& visit) const {
    const uint64_t size = sampler_.size(), reach = kPoolSteps * batch_;
    for (const uint64_t end = position + count; position < end;) {
      const uint64_t epoch = position / size;
      const uint64_t begin = epoch * size + position % size / reach * reach;
      const uint64_t pool_end = std::min(begin + reach, (epoch + 1) * size);
      const std::shared_ptr<const Pool> pool = pools_.Get(begin, [&] { return MakePool(begin, pool_end); });
      for (; position < std::min(end, pool_end); ++position) visit((*pool)[position - begin]);
    }
  }

  Pool MakePool(uint64_t begin, uint64_t end) const {
    Pool sorted;
    SampleSize size_of;
    for (uint64_t position = begin; position < end; ++position)
      sorted.push_back(samples_.Of(sampler_.At(position), size_of));
    std::stable_sort(sorted.begin(), sorted.end(), Shorter);
    // Steps' edges cut the pool: into what is left of a step, whole steps, and the beginning of another.
    const uint64_t first = std::min(end - begin, (batch_ - (begin - leg_.first_position) % batch_) % batch_);
    const uint64_t whole = (end - begin - first) / batch_;
    Pool pool(sorted.begin(), sorted.begin() + static_cast<int64_t>(first));
    if (whole > 0) {
      const Sampler order = OrderOf(whole, seed_, begin);
      for (uint64_t k = 0; k < whole; ++k) {
        const auto from = sorted.begin() + static_cast<int64_t>(first + order.At(k).id * batch_);
        pool.insert(pool.end(), from, from + static_cast<int64_t>(batch_));
      }
    }
    pool.insert(pool.end(), sorted.begin() + static_cast<int64_t>(pool.size()), sorted.end());
    return pool;
  }

  const Sampler sampler_;
  const uint64_t seed_;
  const Leg leg_;
  const uint64_t batch_, rows_;
  const RaggedSamples samples_;
  mutable RecentlyMade<Pool> pools_;
};

}  // namespace

std::unique_ptr<Batches> MakePooledBatches(std::shared_ptr<const Dataset> dataset,
                                           std::shared_ptr<const Transform> transform, const BatchOptions& options) {
  return std::make_unique<PooledBatches>(std::move(dataset), std::move(transform), options);
}

}  // namespace lockstep::data

#include "data/ragged_batches.h"

#include <algorithm>
#include <limits>
#include <list>
#include <mutex>

#include "base/error.h"
#include "base/philox.h"
#include "data/length_buckets.h"

namespace lockstep::data {
namespace {

constexpr uint64_t kPoolSteps = 8;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;

/// A sample, and what must be known of it before it is read.
struct Entry {
  Sampler::Pick pick;
  int64_t places = 0;
  uint64_t labels = 0;
};

/// ", train.de:11," for a message; empty where the sample's place is unknown.
std::string PlaceText(const Dataset& dataset, uint64_t id) {
  const std::string place = dataset.PlaceOf(0, id);
  return place.empty() ? "" : fmt::format(", {},", place);
}

bool Shorter(const Entry& a, const Entry& b) { return a.places < b.places; }

class Measure {
 public:
  Measure(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform)
      : dataset_(std::move(dataset)), transform_(std::move(transform)) {}

  Entry Of(Sampler::Pick pick, std::vector<int64_t>& lengths) const {
    dataset_->Lengths(pick.epoch, pick.id, lengths);
    return {pick, transform_->Places(lengths, pick.epoch, pick.id, /*augment=*/true),
            dataset_->labels(pick.epoch, pick.id)};
  }

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const std::shared_ptr<const Transform> transform_;
};

/// A keyed permutation of [0, count), other than the samples' own.
Sampler OrderOf(uint64_t count, uint64_t seed, uint64_t key) {
  return Sampler(count, Mix64(Mix64(seed ^ kGolden) + kGolden * (key + 1)));
}

/// The last few that were made: threads ask for those of neighbouring steps.
template <typename T>
class Recent {
 public:
  template <typename Make>
  std::shared_ptr<const T> Get(uint64_t key, const Make& make) {
    std::lock_guard lock(mutex_);
    for (const auto& [of, value] : entries_)
      if (of == key) return value;
    constexpr size_t kKept = 4;
    if (entries_.size() == kKept) entries_.pop_back();
    entries_.emplace_front(key, std::make_shared<const T>(make()));
    return entries_.front().second;
  }

 private:
  std::mutex mutex_;
  std::list<std::pair<uint64_t, std::shared_ptr<const T>>> entries_;
};

/// Batches of a number of samples, gathered by length within pools.
class PooledBatches final : public Batches {
 public:
  PooledBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                const BatchOptions& options)
      : sampler_(dataset->size(), options.seed),
        seed_(options.seed),
        batch_(options.global_batch),
        rows_(options.global_batch / static_cast<uint64_t>(options.lanes)),
        measure_(dataset, transform) {
    const PlacesRange range = RangeOfPlaces(*dataset, *transform);
    for (int64_t bucket : BucketsBetween(range.least, range.most))
      shapes_.push_back({static_cast<int64_t>(rows_), bucket});
  }

  uint64_t FirstPosition(uint64_t step) const override { return step * batch_; }
  uint64_t Steps(double epochs) const override { return WholeSteps(epochs, sampler_.size(), batch_); }
  double steps_per_epoch() const override { return static_cast<double>(sampler_.size()) / static_cast<double>(batch_); }

  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    samples.first_position = step * batch_ + static_cast<uint64_t>(lane) * rows_;
    samples.picks.clear();
    int64_t places = 0;
    ForEach(samples.first_position, rows_, [&](const Entry& entry) {
      samples.picks.push_back(entry.pick);
      places = std::max(places, entry.places);
    });
    samples.shape = ShapeFor(shapes_, places);
  }

  uint64_t Denominator(uint64_t step) const override {
    uint64_t sum = 0;
    ForEach(step * batch_, batch_, [&](const Entry& entry) { sum += entry.labels; });
    return std::max<uint64_t>(sum, 1);
  }
  uint64_t Places(uint64_t step) const override {
    uint64_t sum = 0;
    ForEach(step * batch_, batch_, [&](const Entry& entry) { sum += static_cast<uint64_t>(entry.places); });
    return sum;
  }

 private:
  using Pool = std::vector<Entry>;  // by position

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
    std::vector<int64_t> lengths;
    for (uint64_t position = begin; position < end; ++position)
      sorted.push_back(measure_.Of(sampler_.At(position), lengths));
    std::stable_sort(sorted.begin(), sorted.end(), Shorter);
    // Steps' edges cut the pool: into what is left of a step, whole steps, and the beginning of another.
    const uint64_t first = std::min(end - begin, (batch_ - begin % batch_) % batch_);
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
  const uint64_t seed_, batch_, rows_;
  const Measure measure_;
  mutable Recent<Pool> pools_;
};

/// Batches of a number of tokens: rows of an epoch's table.
class TokenBatches final : public Batches {
 public:
  TokenBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
               const BatchOptions& options)
      : sampler_(dataset->size(), options.seed),
        seed_(options.seed),
        limit_(static_cast<int64_t>(options.batch_tokens)),
        lanes_(static_cast<uint64_t>(options.lanes)),
        measure_(dataset, transform) {
    const PlacesRange range = RangeOfPlaces(*dataset, *transform);
    if (BucketOf(range.most) > limit_) {
      throw Error(
          ErrorKind::kData,
          fmt::format("sample {} (from 0){} may take {} places, padded to {}, and a batch has {}", range.longest_id,
                      PlaceText(*dataset, range.longest_id), range.most, BucketOf(range.most), limit_),
          "train.batch_tokens", "raise it, or leave out long samples (data.longest)");
    }
    for (int64_t bucket : BucketsBetween(range.least, range.most)) {
      const auto lanes = static_cast<int64_t>(lanes_);
      shapes_.push_back({(limit_ / bucket + lanes - 1) / lanes, bucket});
    }
    first_step_.push_back(0);
    first_step_.push_back(TableOf(0)->rows.size());
  }

  uint64_t FirstPosition(uint64_t step) const override {
    const Place place = PlaceOf(step);
    return place.table->entries.size() * place.epoch + place.table->rows[place.row].begin;
  }

  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    const Place place = PlaceOf(step);
    const Row& row = place.table->rows[place.row];
    const uint64_t count = row.end - row.begin, of = static_cast<uint64_t>(lane);
    const uint64_t begin = row.begin + count * of / lanes_, end = row.begin + count * (of + 1) / lanes_;
    samples.first_position = place.table->entries.size() * place.epoch + begin;
    samples.picks.clear();
    for (uint64_t at = begin; at < end; ++at) samples.picks.push_back(place.table->entries[at].pick);
    samples.shape = begin == end ? 0 : ShapeFor(shapes_, place.table->entries[end - 1].places);
  }

  uint64_t Denominator(uint64_t step) const override {
    const Place place = PlaceOf(step);
    return std::max<uint64_t>(place.table->rows[place.row].labels, 1);
  }
  uint64_t Places(uint64_t step) const override {
    const Place place = PlaceOf(step);
    return place.table->rows[place.row].places;
  }

  uint64_t Steps(double epochs) const override {
    const auto whole = static_cast<uint64_t>(epochs);
    const uint64_t begin = FirstStepOf(whole), rows = FirstStepOf(whole + 1) - begin;
    return begin + WholeSteps(epochs - static_cast<double>(whole), rows, 1);
  }
  double steps_per_epoch() const override { return static_cast<double>(FirstStepOf(1)); }

 private:
  struct Row {
    uint64_t begin = 0, end = 0;  ///< entries, ascending in places
    uint64_t labels = 0, places = 0;
  };
  struct Table {
    std::vector<Entry> entries;
    std::vector<Row> rows;
  };
  struct Place {
    std::shared_ptr<const Table> table;
    uint64_t epoch = 0, row = 0;
  };

  std::shared_ptr<const Table> TableOf(uint64_t epoch) const {
    return tables_.Get(epoch, [&] { return MakeTable(epoch); });
  }

  Table MakeTable(uint64_t epoch) const {
    const uint64_t size = sampler_.size();
    std::vector<Entry> sorted;
    std::vector<int64_t> lengths;
    for (uint64_t index = 0; index < size; ++index)
      sorted.push_back(measure_.Of(sampler_.At(epoch * size + index), lengths));
    std::stable_sort(sorted.begin(), sorted.end(), Shorter);
    std::vector<Row> rows;
    for (uint64_t at = 0; at < size; ++at) {
      const int64_t bucket = BucketOf(sorted[at].places);
      if (rows.empty() || static_cast<int64_t>(at + 1 - rows.back().begin) * bucket > limit_)
        rows.push_back({at, at, 0, 0});
      rows.back().end = at + 1;
      rows.back().labels += sorted[at].labels;
      rows.back().places += static_cast<uint64_t>(sorted[at].places);
    }
    // In the order of steps, so that positions count up.
    Table table;
    const Sampler order = OrderOf(rows.size(), seed_, epoch);
    for (uint64_t k = 0; k < rows.size(); ++k) {
      const Row& row = rows[order.At(k).id];
      const uint64_t begin = table.entries.size();
      table.entries.insert(table.entries.end(), sorted.begin() + static_cast<int64_t>(row.begin),
                           sorted.begin() + static_cast<int64_t>(row.end));
      table.rows.push_back({begin, table.entries.size(), row.labels, row.places});
    }
    return table;
  }

  /// Epochs may have different numbers of rows, where augmentation changes lengths.
  uint64_t FirstStepOf(uint64_t epoch) const {
    std::lock_guard lock(mutex_);
    while (first_step_.size() <= epoch)
      first_step_.push_back(first_step_.back() + TableOf(first_step_.size() - 1)->rows.size());
    return first_step_[epoch];
  }

  Place PlaceOf(uint64_t step) const {
    uint64_t epoch = step / FirstStepOf(1);  // near it
    while (FirstStepOf(epoch) > step) --epoch;
    while (FirstStepOf(epoch + 1) <= step) ++epoch;
    return {TableOf(epoch), epoch, step - FirstStepOf(epoch)};
  }

  const Sampler sampler_;
  const uint64_t seed_;
  const int64_t limit_;
  const uint64_t lanes_;
  const Measure measure_;
  mutable Recent<Table> tables_;
  mutable std::mutex mutex_;                  // guards what follows
  mutable std::vector<uint64_t> first_step_;  ///< by epoch
};

}  // namespace

int ShapeFor(std::span<const BatchShape> shapes, int64_t places) {
  const auto found = std::lower_bound(shapes.begin(), shapes.end(), places,
                                      [](const BatchShape& shape, int64_t size) { return shape.places < size; });
  CHECK(found != shapes.end(), "{} places", places);
  return static_cast<int>(found - shapes.begin());
}

PlacesRange RangeOfPlaces(const Dataset& dataset, const Transform& transform) {
  PlacesRange range{std::numeric_limits<int64_t>::max(), 0, 0};
  std::vector<int64_t> lengths;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Lengths(0, id, lengths);
    range.least = std::min(range.least, transform.Places(lengths, 0, id, /*augment=*/false));
    dataset.MostLengths(id, lengths);
    const int64_t most = transform.MostPlaces(lengths);
    if (most > range.most) {
      range.most = most;
      range.longest_id = id;
    }
  }
  return range;
}

std::unique_ptr<Batches> MakePooledBatches(std::shared_ptr<const Dataset> dataset,
                                           std::shared_ptr<const Transform> transform, const BatchOptions& options) {
  return std::make_unique<PooledBatches>(std::move(dataset), std::move(transform), options);
}

std::unique_ptr<Batches> MakeTokenBatches(std::shared_ptr<const Dataset> dataset,
                                          std::shared_ptr<const Transform> transform, const BatchOptions& options) {
  return std::make_unique<TokenBatches>(std::move(dataset), std::move(transform), options);
}

}  // namespace lockstep::data

#include "data/batches/token_batches.h"

#include <algorithm>

#include "base/error.h"
#include "base/mutex.h"
#include "data/batches/length_classes.h"
#include "data/batches/ragged_samples.h"

namespace lockstep::data {
namespace {

/// ", train.de:11," for a message; empty where the sample's line is unknown.
std::string LineText(const Dataset& dataset, uint64_t id) {
  const std::string line = dataset.LineOf(0, id);
  return line.empty() ? "" : fmt::format(", {},", line);
}

/// Batches of a number of tokens: rows of an epoch's table.
class TokenBatches final : public Batches {
 public:
  TokenBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
               const BatchOptions& options)
      : sampler_(dataset->size(), options.seed),
        seed_(options.seed),
        limit_(static_cast<int64_t>(options.batch_tokens)),
        lanes_(static_cast<uint64_t>(options.lanes)),
        leg_(options.leg),
        samples_(dataset, transform) {
    const LengthRange range = RangeOfLengths(*dataset, *transform);
    if (LengthClassOf(range.most) > limit_) {
      throw Error(ErrorKind::kData,
                  fmt::format("sample {} (from 0){} may be {} long, padded to {}, and a batch has {}", range.longest_id,
                              LineText(*dataset, range.longest_id), range.most, LengthClassOf(range.most), limit_),
                  "train.batch_tokens", "raise it, or leave out long samples (data.longest)");
    }
    for (int64_t length_class : LengthClassesBetween(range.least, range.most)) {
      const auto lanes = static_cast<int64_t>(lanes_);
      shapes_.push_back({(limit_ / length_class + lanes - 1) / lanes, length_class});
    }
    longest_ = range.most;
    first_step_ = {0, CountRows(0)};
  }

  uint64_t FirstPosition(uint64_t step) const override {
    const TableRow found = RowOf(step);
    return found.table->entries.size() * found.epoch + found.table->rows[found.row].begin;
  }

  void Lane(uint64_t step, int lane, LaneSamples& samples) const override {
    const TableRow found = RowOf(step);
    const Row& row = found.table->rows[found.row];
    const uint64_t count = row.end - row.begin, of = static_cast<uint64_t>(lane);
    const uint64_t begin = row.begin + count * of / lanes_, end = row.begin + count * (of + 1) / lanes_;
    samples.first_position = found.table->entries.size() * found.epoch + begin;
    samples.picks.clear();
    for (uint64_t at = begin; at < end; ++at) samples.picks.push_back(found.table->entries[at].pick);
    samples.shape = begin == end ? 0 : ShapeFor(shapes_, found.table->entries[end - 1].length);
  }

  LossCounts Denominators(uint64_t step) const override {
    const TableRow found = RowOf(step);
    return AllLosses(std::max<uint64_t>(found.table->rows[found.row].labels, 1));
  }
  uint64_t TotalLength(uint64_t step) const override {
    const TableRow found = RowOf(step);
    return found.table->rows[found.row].length;
  }

  uint64_t Steps(double epochs) const override {
    const auto whole = static_cast<uint64_t>(epochs);
    const uint64_t begin = FirstStepOf(whole), rows = FirstStepOf(whole + 1) - begin;
    const uint64_t all = begin + WholeSteps(epochs - static_cast<double>(whole), rows, 1), before = RowsBeforeLeg();
    return leg_.first_step + (all > before ? all - before : 0);
  }
  double steps_per_epoch() const override { return static_cast<double>(FirstStepOf(1)); }

 private:
  struct Row {
    uint64_t begin = 0, end = 0;  ///< entries, ascending in length
    uint64_t labels = 0, length = 0;
  };
  struct Table {
    std::vector<MeasuredSample> entries;
    std::vector<Row> rows;
  };
  struct TableRow {
    std::shared_ptr<const Table> table;
    uint64_t epoch = 0, row = 0;
  };

  std::shared_ptr<const Table> TableOf(uint64_t epoch) const {
    return tables_.Get(epoch, [&] { return MakeTable(epoch); });
  }

  Table MakeTable(uint64_t epoch) const {
    const uint64_t size = sampler_.size();
    std::vector<MeasuredSample> sorted;
    SampleSize size_of;
    for (uint64_t index = 0; index < size; ++index)
      sorted.push_back(samples_.Of(sampler_.At(epoch * size + index), size_of));
    std::stable_sort(sorted.begin(), sorted.end(), Shorter);
    std::vector<Row> rows;
    for (uint64_t at = 0; at < size; ++at) {
      const int64_t length_class = LengthClassOf(sorted[at].length);
      if (rows.empty() || static_cast<int64_t>(at + 1 - rows.back().begin) * length_class > limit_)
        rows.push_back({at, at, 0, 0});
      rows.back().end = at + 1;
      rows.back().labels += sorted[at].labels;
      rows.back().length += static_cast<uint64_t>(sorted[at].length);
    }
    // In the order of steps, so that positions count up.
    Table table;
    const Sampler order = OrderOf(rows.size(), seed_, epoch);
    for (uint64_t k = 0; k < rows.size(); ++k) {
      const Row& row = rows[order.At(k).id];
      const uint64_t begin = table.entries.size();
      table.entries.insert(table.entries.end(), sorted.begin() + static_cast<int64_t>(row.begin),
                           sorted.begin() + static_cast<int64_t>(row.end));
      table.rows.push_back({begin, table.entries.size(), row.labels, row.length});
    }
    return table;
  }

  /// Rows of an epoch's table. They follow from how many samples there are of each length, so that nothing is sorted
  /// or kept for them.
  uint64_t CountRows(uint64_t epoch) const {
    std::vector<uint64_t> samples_of(static_cast<size_t>(longest_) + 1);  // by length
    SampleSize size_of;
    for (uint64_t id = 0; id < sampler_.size(); ++id) {
      const int64_t length = samples_.Of({epoch, id}, size_of).length;
      CHECK(length <= longest_, "length {}, more than the most, {}", length, longest_);
      ++samples_of[static_cast<size_t>(length)];
    }
    uint64_t rows = 0, in_row = 0;
    for (size_t length = 0; length < samples_of.size(); ++length) {
      uint64_t samples = samples_of[length];
      if (samples == 0) continue;
      const auto most = static_cast<uint64_t>(limit_ / LengthClassOf(static_cast<int64_t>(length)));
      const uint64_t joined = rows == 0 || in_row >= most ? 0 : std::min(most - in_row, samples);
      in_row += joined;
      samples -= joined;
      if (samples == 0) continue;
      rows += (samples - 1) / most + 1;
      in_row = (samples - 1) % most + 1;
    }
    return rows;
  }

  /// Epochs have different numbers of rows only where their samples' lengths change; these are counted when they are
  /// first asked for.
  uint64_t FirstStepOf(uint64_t epoch) const {
    const MutexLock lock(mutex_);
    if (!samples_.changes()) return epoch * first_step_[1];
    while (first_step_.size() <= epoch) first_step_.push_back(first_step_.back() + CountRows(first_step_.size() - 1));
    return first_step_[epoch];
  }

  /// Rows of the epochs that are passed over.
  uint64_t RowsBeforeLeg() const { return FirstStepOf(leg_.first_position / sampler_.size()); }

  TableRow RowOf(uint64_t step) const {
    const uint64_t row = step - leg_.first_step + RowsBeforeLeg();  // counted from the first epoch on
    uint64_t epoch = row / FirstStepOf(1);                          // near it
    while (FirstStepOf(epoch) > row) --epoch;
    while (FirstStepOf(epoch + 1) <= row) ++epoch;
    return {TableOf(epoch), epoch, row - FirstStepOf(epoch)};
  }

  const Sampler sampler_;
  const uint64_t seed_;
  const int64_t limit_;
  int64_t longest_ = 0;  ///< a sample may be in any epoch
  const uint64_t lanes_;
  const Leg leg_;
  const RaggedSamples samples_;
  mutable RecentlyMade<Table> tables_;
  mutable Mutex mutex_;
  mutable std::vector<uint64_t> first_step_ GUARDED_BY(mutex_);  ///< by epoch
};

}  // namespace

std::unique_ptr<Batches> MakeTokenBatches(std::shared_ptr<const Dataset> dataset,
                                          std::shared_ptr<const Transform> transform, const BatchOptions& options) {
  return std::make_unique<TokenBatches>(std::move(dataset), std::move(transform), options);
}

}  // namespace lockstep::data

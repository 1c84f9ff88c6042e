// Prefetches lane batches on background threads: reads samples, augments and normalises them, and collates them into
// buffers that are used again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/lane_tree.h"
#include "base/memory.h"
#include "base/shape.h"
#include "data/dataset.h"
#include "data/ledger.h"
#include "data/sampler.h"

namespace lockstep::data {

/// Turns one sample into rows of the batch: decoding dtypes, augmentation, normalisation. Pure: all randomness comes
/// from (seed, epoch, id). Thread-safe.
class Transform {
 public:
  virtual ~Transform() = default;
  /// Fields of a sample after the transform: "image" f32 [height, width, channels] or "features" f32 [n], "label" i32
  /// [] or "target" f32 [k].
  virtual std::span<const Field> fields() const = 0;
  /// Writes the transformed fields to `rows`, one pointer per field. `augment` is false in evaluation.
  virtual void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment,
                     std::span<std::byte* const> rows) const = 0;
};

/// What step `step` divides its sums of losses by: what its samples count for (Dataset::labels). A pure function.
uint64_t LossDenominator(const Dataset& dataset, const Sampler& sampler, uint64_t step, uint64_t global_batch);

/// What one lane trains on at one step: the named input tensors of its program, those of the transform and then "mask"
/// f32 [rows of the lane]: 1 for rows that count, 0 for padding.
struct LaneBatch {
  uint64_t step = 0;
  int lane = 0;
  uint64_t first_position = 0;   ///< of its samples in the endless stream; rows are consecutive positions
  uint64_t denominator = 0;      ///< LossDenominator of the step; in evaluation 0
  int64_t rows = 0;              ///< rows that count; the rest (of evaluation's last block) is padding
  std::vector<Field> fields;     ///< shapes are [rows of the lane, ...]
  std::vector<std::byte*> data;  ///< one pointer per field, aligned to kBufferAlignment
  LaneDelivery delivery;
};

/// The training side: hands out the batches of lanes [lanes.begin, lanes.end) from `first_step` on, in order.
class Loader {
 public:
  struct Options {
    std::shared_ptr<const Dataset> dataset;
    std::shared_ptr<const Transform> transform;
    uint64_t seed = 0;
    uint64_t global_batch = 0;
    int lanes = 1;
    LaneRange mine;  ///< the lanes that this rank runs
    uint64_t first_step = 0;
    uint64_t end_step = 0;  ///< no batch of this step or later is asked for
    int threads = 1;
    int prefetch_batches = 0;  ///< lane batches held ready; 0: two steps' worth, at least 4. Rounded up to lanes
  };
  /// Throws Error(kUsage) where a lane has more rows than the data has samples: it would hold parts of three epochs.
  explicit Loader(Options options);
  /// Stops the threads.
  ~Loader();

  /// The batch of (step, lane). Blocks until it is ready; throws what reading it threw. May be called by several
  /// executor threads; each lane's steps are asked for in order. The batch is valid until Release.
  const LaneBatch* Acquire(uint64_t step, int lane);
  void Release(const LaneBatch* batch);
  /// Whether (step, lane) can be acquired without blocking.
  bool Ready(uint64_t step, int lane);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The evaluation side: block `block` of a split cut into blocks of `rows`, the last padded (zeros, label -1, mask 0).
/// Synchronous, single-threaded.
class BlockReader {
 public:
  BlockReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform, int64_t rows);
  int64_t blocks() const;
  /// Valid until the next call.
  const LaneBatch& Read(int64_t block);

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<const Transform> transform_;
  int64_t rows_;
  std::vector<Buffer> buffers_;
  LaneBatch batch_;
  Sample sample_;
  std::vector<std::byte*> pointers_;
};

}  // namespace lockstep::data

// Prefetches lane batches on background threads: reads samples, augments and normalises them, and collates them into
// buffers that are used again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/lane_tree.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "data/ledger.h"
#include "data/transform.h"

namespace lockstep::data {

class LaneBuffers;

/// What one lane trains on at one step: the named input tensors of its program, those of the transform and then "mask"
/// f32 [rows of the shape]: 1 for rows that count, 0 for padding.
struct LaneBatch {
  uint64_t step = 0;
  int lane = 0;
  LaneSamples samples;        ///< its rows; the others are padding
  uint64_t denominator = 0;   ///< Batches::Denominator of the step; in evaluation 0
  std::vector<Field> fields;  ///< shapes are [rows of the shape, ...]

  int64_t rows() const { return static_cast<int64_t>(samples.picks.size()); }
  std::vector<std::byte*> data;  ///< one pointer per field, aligned to kBufferAlignment
  LaneDelivery delivery;
};

/// The training side: hands out the batches of lanes [lanes.begin, lanes.end) from `first_step` on, in order.
class Loader {
 public:
  struct Options {
    std::shared_ptr<const Dataset> dataset;
    std::shared_ptr<const Transform> transform;
    std::shared_ptr<const Batches> batches;
    LaneRange mine;  ///< the lanes that this rank runs
    uint64_t first_step = 0;
    uint64_t end_step = 0;  ///< no batch of this step or later is asked for
    int threads = 1;
    int prefetch_batches = 0;  ///< lane batches held ready; 0: two steps' worth, at least 4. Rounded up to lanes
  };
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

/// The evaluation side: blocks of a split, padded (zeros, label -1, mask 0). Synchronous, single-threaded.
class BlockReader {
 public:
  BlockReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
              std::shared_ptr<const Blocks> blocks);
  ~BlockReader();
  /// Valid until the next call.
  const LaneBatch& Read(int64_t block);

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<const Transform> transform_;
  std::shared_ptr<const Blocks> blocks_;
  std::unique_ptr<LaneBuffers> buffers_;
  LaneBatch batch_;
  Sample sample_;
  std::vector<std::byte*> pointers_;
};

}  // namespace lockstep::data

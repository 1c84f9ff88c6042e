// Prefetches lane batches on background threads: reads samples, augments and normalises them, and collates them into
// buffers that are used again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/lane_tree.h"
#include "data/batches/batches.h"
#include "data/batches/lane_buffers.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// Batches that a loader holds ready for each of `lanes` lanes, of `wanted` in all; 0: two steps' worth, at least 4 in
/// all.
int BatchesALane(int lanes, int wanted = 0);

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
    int prefetch_batches = 0;               ///< lane batches held ready (BatchesALane)
    std::vector<std::string> rounded = {};  ///< fields that are delivered in bf16 (LaneBuffers)
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

}  // namespace lockstep::data

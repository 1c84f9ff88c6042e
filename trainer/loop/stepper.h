// One training step of a rank: lanes on executors, the exchange, the update of owned slices, the control record.
#pragma once

#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "data/loader.h"
#include "trainer/loop/control_record.h"
#include "trainer/loop/owned_state.h"
#include "trainer/loop/session.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::loop {

struct StepResult {
  double loss = 0;      ///< mean over the global batch
  double accuracy = -1;  ///< < 0: the model counts nothing
  double grad_norm = 0;  ///< before clipping; 0 where it was not asked for and not needed
  ControlRecord record;
};

class Stepper {
 public:
  /// `state`'s arrays begin with the optimizer's.
  Stepper(const Job& job, Session& session, const optim::Optimizer& optimizer, OwnedState& state);

  /// Step `step` (0-based), after `updates` updates. `want_norm`: the gradient's norm is asked for. Collective.
  /// Throws Error(kDiverged) on all ranks where the loss or a gradient is not finite.
  StepResult Run(uint64_t step, uint64_t updates, bool want_norm, int stop_requested, data::Loader& loader);

 private:
  optim::Optimizer::Slice SliceAt(int bucket, int64_t begin, std::span<const float> gradient);
  void UpdateFromSums(uint64_t step, uint64_t updates, float scale);
  void UpdateAtOnce(uint64_t step, uint64_t updates, bool want_norm, int bucket, comm::ElementRange range, const comm::SliceSum& sum);
  double GlobalNorm(uint64_t step);
  double& ChunkSum(int64_t element) { return chunk_sums_[static_cast<size_t>(element / comm::kChunkElements)]; }

  const Job& job_;
  Session& session_;
  const optim::Optimizer& optimizer_;
  OwnedState& state_;
  std::vector<LaneRecord> records_;   ///< of this rank's lanes
  std::vector<double> chunk_sums_;    ///< by chunk of the parameter arena: sums of squares of owned chunks, then of all
  Buffer sums_;                       ///< with clipping: the summed gradient of owned slices, packed as in OwnedState
  std::vector<int64_t> sums_offset_;  ///< by bucket
};

}  // namespace lockstep::loop

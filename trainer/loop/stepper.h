// One training step of a rank: lanes on executors, the exchange, the update of owned slices, the control record.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/memory.h"
#include "data/loader.h"
#include "trainer/loop/control_record.h"
#include "trainer/loop/owned_state.h"
#include "trainer/loop/session.h"
#include "trainer/loop/weight_check.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::loop {

struct StepResult {
  double loss = 0;      ///< mean over the global batch
  double accuracy = -1;  ///< < 0: the model counts nothing
  double grad_norm = 0;  ///< before clipping; 0 where it was not asked for and not needed
  bool skipped = false;  ///< not finite, and train.on_nonfinite is SKIP_STEP: nothing was updated
  ControlRecord record;
};

class Stepper {
 public:
  /// `state`'s arrays begin with the optimizer's.
  Stepper(const Job& job, Session& session, const optim::Optimizer& optimizer, OwnedState& state, WeightCheck& check);

  /// Called at the end of a step, when the exchange is over: fills in what this rank has to say besides.
  using FillRecord = std::function<void(RankRecord&)>;
  /// Step `step` (0-based), after `updates` updates. `want_norm`: the gradient's norm is asked for. Collective.
  /// Where the loss or a gradient is not finite: Error(kDiverged) on all ranks, or a skipped step.
  StepResult Run(uint64_t step, uint64_t updates, bool want_norm, const FillRecord& fill, data::Loader& loader);

 private:
  optim::Optimizer::Slice SliceAt(int bucket, int64_t begin, std::span<const float> gradient);
  void UpdateFromSums(uint64_t step, uint64_t updates, float scale);
  void UpdateAtOnce(uint64_t step, uint64_t updates, bool want_norm, int bucket, comm::ElementRange range, const comm::SliceSum& sum);
  double GlobalNorm(uint64_t step);
  void NoteNonfinite(int64_t begin, std::span<const float> sum);
  void RunLanes(uint64_t step, data::Loader& loader);
  double ReduceThenUpdate(uint64_t step, uint64_t updates);
  double ReduceAndUpdate(uint64_t step, uint64_t updates, bool want_norm);
  double& ChunkSum(int64_t element) { return chunk_sums_[static_cast<size_t>(element / comm::kChunkElements)]; }

  const Job& job_;
  Session& session_;
  const optim::Optimizer& optimizer_;
  OwnedState& state_;
  WeightCheck& check_;
  std::vector<LaneRecord> records_;   ///< of this rank's lanes
  std::vector<double> chunk_sums_;    ///< by chunk of the parameter arena: sums of squares of owned chunks, then of all
  Buffer sums_;                       ///< with two passes: the summed gradient of owned slices, packed as in OwnedState
  std::vector<int64_t> sums_offset_;  ///< by bucket
  const bool two_passes_;             ///< the sums are kept until all are known to be good
  std::atomic<int64_t> nonfinite_{-1};  ///< first element of the owned sums that is not finite
};

}  // namespace lockstep::loop

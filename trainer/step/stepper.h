// One training step of a rank: what it computes, and the control record in which all ranks agree on what came of it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/loader.h"
#include "trainer/plan/job.h"
#include "trainer/step/compiled_model.h"
#include "trainer/step/control_record.h"

namespace lockstep::step {

struct StepResult {
  double loss = 0;       ///< mean over the global batch
  double accuracy = -1;  ///< < 0: the model counts nothing
  double grad_norm = 0;  ///< before clipping; 0 where it was not asked for and not needed
  bool skipped = false;  ///< not finite, and train.on_nonfinite is SKIP_STEP: nothing was updated
  ControlRecord record;
};

class Stepper {
 public:
  Stepper(const plan::Job& job, CompiledModel& session);

  /// Called at the end of a step, when its sums are known: fills in what this rank has to say besides.
  using FillRecord = std::function<void(RankRecord&)>;
  /// Step `step` (0-based), after `updates` updates. `want_norm`: the gradient's norm is asked for. Collective.
  /// Where the loss or a gradient is not finite: Error(kDiverged) on all ranks, or a skipped step.
  StepResult Run(uint64_t step, uint64_t updates, bool want_norm, const FillRecord& fill, data::Loader& loader);

 private:
  void WarnOfImpossible(uint64_t step, int64_t count);

  const plan::Job& job_;
  CompiledModel& session_;
  bool warned_ = false;
  std::vector<LaneRecord> records_;  ///< of this rank's lanes
};

}  // namespace lockstep::step

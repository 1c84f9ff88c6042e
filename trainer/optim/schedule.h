// The learning rate as a pure function of the step.
#pragma once

#include <cstdint>

#include "trainer/optim/optimizer.pb.h"

namespace lockstep::optim {

/// How long the run is, in steps; schedules are drawn over it.
struct RunLength {
  uint64_t total_steps = 0;
  double steps_per_epoch = 0;
  uint64_t first_step = 0;  ///< from which steps_per_epoch holds
  double first_epoch = 0;   ///< where that step begins

  /// Epochs in `step` steps.
  double EpochAt(uint64_t step) const {
    return first_epoch + (static_cast<double>(step) - static_cast<double>(first_step)) / steps_per_epoch;
  }
};

/// The factor on the peak rate at step `step` (0-based), warm-up included:
/// warm-up gives (step + 1) / (warmup + 1); cosine gives (1 + cos(pi (step - warmup) / (total - warmup))) / 2 over the
/// rest.
double ScheduleFactor(const Schedule& schedule, const RunLength& length, uint64_t step);

/// Whether a longer run repeats a shorter one's rates up to its end (constant and step do; cosine and one-cycle don't,
/// and neither does any warm-up given as a fraction).
bool IsExtendable(const Schedule& schedule);

}  // namespace lockstep::optim

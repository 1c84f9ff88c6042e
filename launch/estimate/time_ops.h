// The times of a training's ops, measured by training.
#pragma once

#include <vector>

#include "launch/estimate/op_work.h"
#include "launch/recipe/recipe.h"

namespace lockstep::launch {

struct TimedOp {
  OpWork work;
  double seconds = 0;  ///< of a run: the lower quartile, since other work only makes runs longer
};

struct TimedTraining {
  std::vector<TimedOp> ops;  ///< those of the lane's program, and "fold", "pack" and "input"
  double beside_lanes = 0;   ///< seconds of a step that are not its lanes'
};

/// Trains `recipe` with `executors` executors in this process for about `seconds`, at least three steps behind two that
/// make memory ready. REQUIRES: it is resolved, on the CPU, of samples of one length, with at least as many lanes.
TimedTraining TimeOps(const Recipe& recipe, int executors, double seconds);

}  // namespace lockstep::launch

// Where a step's time goes on a rank.
#pragma once

namespace lockstep::step {

/// Seconds. What lanes are made of is that of the executor that took longest. Plain data: travels as bytes. On a GPU
/// prepare, forward, backward and update are 0: `lanes` is all that the device does.
struct StepTimes {
  double prepare = 0;   ///< packed copies of the weights, in front of the lanes
  double lanes = 0;     ///< from the executors' start to the end of the last
  double data = 0;      ///< of that, waiting for samples
  double forward = 0;   ///< forward passes
  double backward = 0;  ///< backward passes, with what is added up to the rank's sums
  double update = 0;    ///< sums and updates of what it owns, behind its lanes
  double exchange = 0;  ///< waiting for others behind its lanes: for their lanes, messages and weights
};

}  // namespace lockstep::step

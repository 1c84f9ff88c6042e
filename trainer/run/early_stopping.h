// Early stopping: decides from evaluations alone, which are bit-equal on all ranks, so all ranks decide alike.
#pragma once

#include <cstdint>

#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/plan/train.pb.h"

namespace lockstep::run {

class EarlyStoppingRule {
 public:
  EarlyStoppingRule(const plan::EarlyStopping& config, checkpoint::LoopState& state) : config_(config), state_(state) {}

  /// Scores ascend: the accuracy, or the loss turned around where there is no accuracy.
  /// Notes the evaluation after `step` finished steps. Returns whether it is the best so far: its weights are to be
  /// kept.
  bool Observe(const checkpoint::Evaluation& evaluation);
  bool ShouldStop() const { return state_.evaluations_without_gain() >= config_.patience(); }

 private:
  const plan::EarlyStopping& config_;
  checkpoint::LoopState& state_;
};

}  // namespace lockstep::run

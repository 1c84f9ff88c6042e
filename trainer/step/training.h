// What training has come to on a rank, as checkpoints hold it, and the step that takes it further: weights and their
// companions, the ledger, what steers the loop. A run and its replay share it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/ledger.h"
#include "data/loader.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/job.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/compiled_model.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/stepper.h"
#include "trainer/step/weight_check.h"

namespace lockstep::step {

class Training {
 public:
  /// Collective. `executors`: of each rank.
  Training(const plan::Job& job, plan::JobPlans plans, const std::vector<int>& executors);

  CompiledModel& session() { return session_; }
  const CompiledModel& session() const { return session_; }
  const optim::Optimizer& optimizer() const { return optimizer_; }
  const OwnedState& owned() const { return owned_; }
  OwnedState& owned() { return owned_; }
  WeightCheck& check() { return check_; }
  const data::Ledger& ledger() const { return ledger_; }
  const checkpoint::LoopState& loop() const { return loop_; }
  checkpoint::LoopState& loop() { return loop_; }
  uint64_t step() const { return step_; }  ///< finished steps
  /// The host's view (compute.h), as Fetch has left it.
  std::span<const float> weights() { return session_.compute().weights(); }
  void Fetch(Compute::Part part) { session_.compute().Fetch(part); }
  std::function<void()> StartFetch() { return session_.compute().StartFetch(); }

  /// Step 0: initial weights, and an EMA that begins with them. Collective.
  void Initialize();
  /// What the checkpoint that `open` gives holds of this rank's. Collective: an error of one rank is one of all.
  void Load(const std::function<std::unique_ptr<checkpoint::Reader>()>& open);

  /// Batches get ready from here to `end_step`. To be called before the first Step.
  void StartLoader(uint64_t end_step);
  /// The next step; see Stepper::Run. Collective.
  StepResult Step(bool want_norm, const Stepper::FillRecord& fill);

  /// The array whose weights evaluations mean: the EMA's; -1: the weights themselves.
  int EvaluatedArray() const { return optimizer_.ema_index(); }
  /// The array that early stopping keeps the best weights in; -1: there is none.
  int BestArray() const { return job_.train.has_early_stopping() ? static_cast<int>(owned_.arrays().size()) - 1 : -1; }
  /// Collective.
  void KeepBest();
  /// Swaps `array` of the owned state with the weights, on all ranks. Collective.
  void SwapWeights(int array);

  /// Fills in what a checkpoint's manifest says of this.
  void Describe(checkpoint::Manifest& manifest) const;

 private:
  const plan::Job& job_;
  CompiledModel session_;
  optim::Optimizer optimizer_;
  OwnedState owned_;
  WeightCheck check_;
  Stepper stepper_;
  data::Ledger ledger_;
  checkpoint::LoopState loop_;
  uint64_t step_ = 0;
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace lockstep::step

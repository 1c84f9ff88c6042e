// What training has come to on a rank, as checkpoints hold it, and the step that takes it further: weights and their
// companions, the ledger, what steers the loop. A run and its replay share it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/batches/ledger.h"
#include "data/batches/loader.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/core_plan.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/model_spec.h"
#include "trainer/plan/run_config.h"
#include "trainer/plan/splits.h"
#include "trainer/step/compute.h"
#include "trainer/step/control_record.h"
#include "trainer/step/executors.h"
#include "trainer/step/owned_state.h"
#include "trainer/step/place.h"

namespace lockstep::step {

struct StepResult {
  double loss = 0;       ///< mean over the global batch
  double accuracy = -1;  ///< < 0: the model counts nothing
  double grad_norm = 0;  ///< before clipping; 0 where it was not asked for and not needed
  bool skipped = false;  ///< not finite, and train.on_nonfinite is SKIP_STEP: nothing was updated
  ControlRecord record;  ///< in which all ranks agree on what came of the step
};

/// What a run trains, with what, and where. All outlive it.
struct TrainingParts {
  const plan::RunConfig& config;
  const plan::Splits& splits;
  const plan::ModelSpec& model;
  const Place& place;
};

class Training {
 public:
  /// Collective.
  Training(const TrainingParts& parts, plan::JobPlans plans, const plan::CorePlan& cores);

  const engine::ParameterLayout& layout() const { return plans_.layout; }
  const Executors& executors() const { return executors_; }
  ForwardCompute& compute() { return *compute_; }
  const optim::Optimizer& optimizer() const { return optimizer_; }
  const OwnedState& owned() const { return owned_; }
  OwnedState& owned() { return owned_; }
  const data::Ledger& ledger() const { return ledger_; }
  const checkpoint::LoopState& loop() const { return loop_; }
  checkpoint::LoopState& loop() { return loop_; }
  uint64_t step() const { return step_; }  ///< finished steps
  /// The host's view (compute.h), as Fetch has left it.
  std::span<const float> weights() { return compute_->weights(); }
  void FetchWeights() { compute_->FetchWeights(); }
  void FetchAll() { compute_->FetchAll(); }
  std::function<void()> StartFetch() { return compute_->StartFetch(); }
  /// Fetches the weights and compares them with the other ranks' (WeightCheck). Collective. Returns their hash.
  uint64_t CompareHosts() { return compute_->CompareHosts(step_); }
  /// The next step compares this rank's slices with what they hold now.
  void NoteWeights() { compute_->NoteWeights(); }

  /// Step 0: initial weights, and an EMA that begins with them. Collective.
  void Initialize();
  /// What the checkpoint that `open` gives holds of this rank's. Collective: an error of one rank is one of all.
  void Load(const std::function<std::unique_ptr<checkpoint::Reader>()>& open);

  /// Batches get ready from here to `end_step`. To be called before the first Step.
  void StartLoader(uint64_t end_step);
  /// Called at the end of a step, when its sums are known: fills in what this rank has to say besides.
  using FillRecord = std::function<void(RankRecord&)>;
  /// The next step. `want_norm`: the gradient's norm is asked for. Collective. Where the loss or a gradient is not
  /// finite: Error(kDiverged) on all ranks, or a skipped step.
  StepResult Step(bool want_norm, const FillRecord& fill);

  /// The array whose weights evaluations mean: the EMA's; -1: the weights themselves.
  int EvaluatedArray() const { return optimizer_.ema_index(); }
  /// The array that early stopping keeps the best weights in; -1: there is none.
  int BestArray() const {
    return parts_.config.train.has_early_stopping() ? static_cast<int>(owned_.arrays().size()) - 1 : -1;
  }
  /// Collective.
  void KeepBest();
  /// Swaps `array` of the owned state with the weights, on all ranks. Collective.
  void SwapWeights(int array);

  /// Steps from the next on are recorded in `recording`, which outlives them; null: no more.
  void Record(profile::Recording* recording) { recording_ = recording; }

  /// Fills in what a checkpoint's manifest says of this.
  void Describe(checkpoint::Manifest& manifest) const;

 private:
  StepResult RunStep(bool want_norm, const FillRecord& fill);
  void SkipOrThrow(const StepResult& result);
  void WarnOfImpossible(int64_t count);

  comm::Communicator& comm() const { return *parts_.place.comm; }

  const TrainingParts parts_;
  const plan::JobPlans plans_;
  Executors executors_;
  const optim::Optimizer optimizer_;
  OwnedState owned_;
  std::unique_ptr<Compute> compute_;
  std::vector<LaneRecord> records_;  ///< of this rank's lanes
  bool warned_of_impossible_ = false;
  profile::Recording* recording_ = nullptr;
  uint64_t sent_bytes_ = 0;  ///< up to the last record
  data::Ledger ledger_;
  checkpoint::LoopState loop_;
  uint64_t step_ = 0;
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace lockstep::step

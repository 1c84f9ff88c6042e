// What one executor does: its programs, its arenas, its lanes one after the other, folded into its pieces as they come.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "comm/exchange.h"
#include "data/batches/loader.h"
#include "trainer/engine/program.h"
#include "trainer/plan/job_plans.h"
#include "trainer/profile/event_log.h"
#include "trainer/step/control_record.h"
#include "trainer/step/executor_phase.h"
#include "trainer/step/lane_fold.h"

namespace lockstep::step {

/// The programs of one mode by shape, and their packed weights.
struct ProgramSet {
  std::vector<std::shared_ptr<const engine::ProgramPlan>> plans;
  std::vector<std::unique_ptr<engine::PackedWeights>> packed;
};
/// What the executors of a rank share.
struct LanePrograms {
  ProgramSet train, evaluate;
  const plan::JobPlans& plans;
  engine::Backend& backend;
  int lanes = 0;  ///< of all ranks
};

/// What lanes of a step are computed from.
struct StepInputs {
  uint64_t seed = 0, step = 0;
  data::Loader& loader;
  profile::EventLog* log = nullptr;  ///< where what an executor does is recorded; null: nowhere
};

class LaneRunner {
 public:
  /// `lanes`: those of this executor. Called on the executor's thread: kernels are prepared where they run. Where there
  /// are several shapes, a program is prepared when its first batch comes. All outlive this.
  LaneRunner(const LanePrograms& model, comm::Exchange& exchange, comm::FlightRecorder* recorder, int executor,
             LaneRange lanes);

  /// Forward and backward of all lanes of this executor. `records` has one entry per lane, filled in.
  void RunStep(const StepInputs& inputs, std::span<LaneRecord> records);
  /// Of the last RunStep: lanes, data, forward and backward.
  const StepTimes& times() const { return times_; }

  /// Forward of one block of an evaluation.
  LaneRecord Evaluate(const data::LaneBatch& block);
  /// Of the last Evaluate; valid until the next run.
  std::span<const std::byte> Output(const std::string& name) const { return evaluated_->output(name); }

 private:
  using Programs = std::vector<std::unique_ptr<engine::Program>>;

  engine::Program& Prepared(Programs& programs, const ProgramSet& set, int number, float* gradients);
  engine::Program& FillNext(const StepInputs& inputs, int lane, ExecutorPhase& phase, data::LaneDelivery& delivery);
  void Fill(engine::Program& program, const data::LaneBatch& batch);

  const LanePrograms& model_;
  comm::Exchange& exchange_;
  comm::FlightRecorder* recorder_;  ///< may be null
  int executor_;
  LaneRange lanes_;
  std::vector<ElementRange> buckets_;
  Buffer arena_, workspace_, gradients_;
  LaneFold fold_;
  Programs train_, evaluate_;                   ///< as JobPlans has them
  float* target_ = nullptr;                     ///< where training programs write gradients
  const engine::Program* evaluated_ = nullptr;  ///< the last of evaluate_ that has run
  StepTimes times_;
};

}  // namespace lockstep::step

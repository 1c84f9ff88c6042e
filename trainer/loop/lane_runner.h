// What one executor does: its programs, its arenas, its lanes one after the other, folded into its pieces as they come.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "comm/exchange.h"
#include "data/loader.h"
#include "trainer/engine/program.h"
#include "trainer/loop/control_record.h"
#include "trainer/loop/lane_fold.h"

namespace lockstep::loop {

/// The programs of a rank: shared by its executors.
struct LanePrograms {
  std::shared_ptr<const engine::ProgramPlan> train, evaluate;
  const engine::PackedWeights* packed_train = nullptr;
  const engine::PackedWeights* packed_evaluate = nullptr;
};

class LaneRunner {
 public:
  /// `lanes`: those of this executor. Called on the executor's thread: kernels are prepared where they run.
  LaneRunner(const LanePrograms& model, const engine::ParameterLayout& layout, engine::Backend& backend,
             comm::Exchange& exchange, comm::FlightRecorder* recorder, int executor, LaneRange lanes, int all_lanes);

  /// Forward and backward of all lanes of this executor. `records` has one entry per lane, filled in.
  void RunStep(uint64_t seed, uint64_t step, data::Loader& loader, std::span<LaneRecord> records);
  /// What the last RunStep took, and what it has waited for samples in it.
  double seconds() const { return seconds_; }
  double load_seconds() const { return load_seconds_; }

  /// Forward of one block of an evaluation.
  LaneRecord Evaluate(const data::LaneBatch& block);

 private:
  void Fill(engine::Program& program, const data::LaneBatch& batch);

  comm::Exchange& exchange_;
  comm::FlightRecorder* recorder_;  ///< may be null
  int executor_;
  LaneRange lanes_;
  std::vector<comm::ElementRange> buckets_;
  Buffer arena_, workspace_, gradients_;
  LaneFold fold_;
  std::unique_ptr<engine::Program> train_, evaluate_;
  float* target_ = nullptr;  ///< where the train program writes gradients
  double seconds_ = 0, load_seconds_ = 0;
};

}  // namespace lockstep::loop

// A job compiled: what follows from recipe and data alone, before ranks and memory come in. `plan` prints it, a run
// computes with it.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "comm/exchange.h"
#include "comm/slice_map.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/engine/program.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/model_spec.h"
#include "trainer/plan/run_config.h"
#include "trainer/plan/splits.h"

namespace lockstep::plan {

struct JobPlans {
  graph::Model model;  ///< of one lane of training, in its largest shape
  engine::ParameterLayout layout;
  std::vector<ElementRange> buckets;
  /// By shape: of Batches::shapes(), of these again from each of `thaws` on; and of evaluation_shapes.
  std::vector<std::shared_ptr<const engine::ProgramPlan>> train, evaluate;
  std::vector<data::BatchShape> evaluation_shapes;  ///< of blocks
  optim::RunLength length = {};
  std::vector<uint64_t> thaws = {};  ///< steps before which more parameters are frozen than after (optim::ThawSteps)

  /// Of `train`, for batches of shape `shape` in step `step`.
  int TrainProgram(uint64_t step, int shape) const;
};

/// For `ranks` ranks, which decide no bits: how often a rank uses weights that it packs.
JobPlans CompileJob(const RunConfig& config, const Splits& splits, const ModelSpec& model, engine::Backend& backend,
                    int ranks);

/// Names of the fields that the program reads in bf16, which loaders round.
std::vector<std::string> RoundedInputs(const engine::ProgramPlan& program);

/// Names of the parameters, and of the running statistics, that `config` freezes in step `step`.
std::set<std::string> FrozenParameters(const graph::Model& model, const optim::OptimizerConfig& config, uint64_t step);
std::set<std::string> FrozenStatistics(const graph::Model& model, const optim::OptimizerConfig& config, uint64_t step);

/// Optimizer segments of the arena: decay, groups, frozen parameters, statistics.
std::vector<optim::Segment> MakeSegments(const JobPlans& plans, const optim::OptimizerConfig& config);

/// The arrays of owned state: the optimizer's, then "best" where early stopping keeps the best weights.
std::vector<std::string> StateArrays(const optim::Optimizer& optimizer, const TrainConfig& config);

/// Whether an update waits until all sums are known (clipping, steps that may be skipped), so that owners keep theirs.
bool KeepsSums(const optim::Optimizer& optimizer, const TrainConfig& config);

/// The optimizer of the compiled model.
optim::Optimizer MakeOptimizer(const RunConfig& config, const JobPlans& plans);

/// The type of sums over lanes: kF32 or kBF16.
DType WireType(const TrainConfig& config);

/// Of the exchange between ranks that have the lanes of `plan`.
comm::ExchangeOptions MakeExchangeOptions(const TrainConfig& config, const JobPlans& plans, comm::LanePlan plan);

/// Whether checkpoints are written before the end: then a copy of the state is kept.
bool SavesMeanwhile(const checkpoint::CheckpointConfig& config);

}  // namespace lockstep::plan

// A session: the model of a job compiled on this rank's executors, with weights in the exchange's arena. What training steps,
// evaluations and checkpoints work on.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "comm/exchange.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/loop/evaluator.h"
#include "trainer/loop/executor_pool.h"
#include "trainer/loop/job.h"
#include "trainer/loop/lane_runner.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::loop {

/// Names of the parameters that `config` freezes.
std::set<std::string> FrozenParameters(const graph::Model& model, const optim::OptimizerConfig& config);

/// Optimizer segments of the arena: decay, groups, frozen parameters, statistics.
std::vector<optim::Segment> MakeSegments(const graph::Model& model, const engine::ParameterLayout& layout,
                                         const optim::OptimizerConfig& config);

/// Rows of an evaluation block for a split of `size` samples.
int64_t EvaluationRows(const TrainConfig& config, uint64_t size);

class Session {
 public:
  /// Collective. `executors`: of each rank.
  Session(const Job& job, const std::vector<int>& executors);
  ~Session();

  comm::Communicator& comm() const { return *job_.comm; }
  const graph::Model& model() const { return model_; }
  const engine::ParameterLayout& layout() const { return layout_; }
  const comm::LanePlan& plan() const { return plan_; }
  LaneRange lanes() const { return {plan_[rank()].front().begin, plan_[rank()].back().end}; }
  comm::Exchange& exchange() { return *exchange_; }
  ExecutorPool& pool() { return *pool_; }
  LaneRunner& runner(int executor) { return *runners_[static_cast<size_t>(executor)]; }

  /// Random initial weights, or what job.initial_weights says; collective.
  void Initialize();

  /// Makes the packed copies of the current weights, for training or for evaluation.
  void PackForTraining() { Pack(*compiled_.packed_train); }

  /// Evaluates `split` ("test", "validation", "train") with the current weights. Collective.
  checkpoint::Evaluation Evaluate(const std::string& split, uint64_t step);

  /// Waits on the communicating thread until the executors have done `work`.
  void OnExecutors(const std::string& what, std::function<void(int executor)> work);

 private:
  size_t rank() const { return static_cast<size_t>(job_.comm->rank()); }
  void Pack(engine::PackedWeights& packed);
  const std::shared_ptr<const data::Dataset>& Split(const std::string& split) const;

  const Job& job_;
  graph::Model model_;
  engine::ParameterLayout layout_;
  std::vector<int> executors_;
  comm::LanePlan plan_;
  std::unique_ptr<comm::Exchange> exchange_;
  std::unique_ptr<ExecutorPool> pool_;
  CompiledModel compiled_;
  std::vector<std::unique_ptr<LaneRunner>> runners_;
  std::vector<std::pair<std::string, std::unique_ptr<Evaluator>>> evaluators_;
  int64_t evaluation_rows_ = 1;
};

}  // namespace lockstep::loop

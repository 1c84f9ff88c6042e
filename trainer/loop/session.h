// A session: the model of a job compiled for what this rank computes on. What training steps, evaluations and
// checkpoints work on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/exchange.h"
#include "trainer/loop/compute.h"
#include "trainer/loop/evaluator.h"
#include "trainer/loop/executor_pool.h"
#include "trainer/loop/job.h"
#include "trainer/loop/job_plans.h"

namespace lockstep::loop {

class Session {
 public:
  /// Collective. `executors`: of each rank.
  Session(const Job& job, JobPlans plans, const std::vector<int>& executors);
  ~Session();

  comm::Communicator& comm() const { return *job_.comm; }
  const JobPlans& plans() const { return plans_; }
  const engine::ParameterLayout& layout() const { return plans_.layout; }
  const comm::LanePlan& plan() const { return plan_; }
  LaneRange lanes() const { return {plan_[rank()].front().begin, plan_[rank()].back().end}; }
  Compute& compute() { return *compute_; }
  const ExecutorPool& pool() const { return *pool_; }

  /// Random initial weights, or what job.initial_weights says, in the host's view; collective.
  void Initialize();

  /// Evaluates `split` ("test", "validation", "train") with the current weights. Collective. Nothing where a rank was
  /// asked to stop meanwhile.
  std::optional<checkpoint::Evaluation> Evaluate(const std::string& split, uint64_t step);

 private:
  size_t rank() const { return static_cast<size_t>(job_.comm->rank()); }
  const std::shared_ptr<const data::Dataset>& Split(const std::string& split) const;

  const Job& job_;
  JobPlans plans_;
  std::vector<int> executors_;
  comm::LanePlan plan_;
  std::unique_ptr<ExecutorPool> pool_;
  std::unique_ptr<Compute> compute_;
  std::vector<std::pair<std::string, std::unique_ptr<Evaluator>>> evaluators_;
};

}  // namespace lockstep::loop

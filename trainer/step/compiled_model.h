// A session: the model of a job compiled for what this rank computes on. What training steps, evaluations and
// checkpoints work on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "comm/exchange.h"
#include "trainer/plan/job.h"
#include "trainer/plan/job_plans.h"
#include "trainer/step/compute.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::step {

class CompiledModel {
 public:
  /// Collective. `executors`: of each rank.
  CompiledModel(const plan::Job& job, plan::JobPlans plans, const std::vector<int>& executors);
  ~CompiledModel();

  comm::Communicator& comm() const { return *job_.comm; }
  const plan::JobPlans& plans() const { return plans_; }
  const engine::ParameterLayout& layout() const { return plans_.layout; }
  const comm::LanePlan& plan() const { return plan_; }
  LaneRange lanes() const { return {plan_[rank()].front().begin, plan_[rank()].back().end}; }
  Compute& compute() { return *compute_; }
  const std::vector<int>& executors() const { return executors_; }  ///< of each rank
  ExecutorPool& pool() const { return *pool_; }

  /// Random initial weights, or what job.initial_weights says, in the host's view; collective.
  void Initialize();

 private:
  size_t rank() const { return static_cast<size_t>(job_.comm->rank()); }

  const plan::Job& job_;
  plan::JobPlans plans_;
  std::vector<int> executors_;
  comm::LanePlan plan_;
  std::unique_ptr<ExecutorPool> pool_;
  std::unique_ptr<Compute> compute_;
};

}  // namespace lockstep::step

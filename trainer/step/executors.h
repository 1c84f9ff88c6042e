// The executors of this rank: which lanes each of them runs, the threads that do, and what the communicator knows of
// them.
#pragma once

#include <vector>

#include "comm/communicator.h"
#include "comm/exchange.h"
#include "trainer/plan/core_plan.h"
#include "trainer/plan/train.pb.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::step {

class Executors {
 public:
  /// `comm` outlives this. Also prepares the calling thread, which sums and updates too, for computing. For as long as
  /// this lives, an executor that fails ends every wait for what it would have computed.
  Executors(comm::Communicator& comm, const plan::TrainConfig& config, const plan::CorePlan& cores);

  comm::Communicator& comm() const { return comm_; }
  ExecutorPool& pool() { return pool_; }
  int size() const { return pool_.size(); }
  const std::vector<int>& of_ranks() const { return of_ranks_; }
  /// Of all ranks.
  const comm::LanePlan& plan() const { return plan_; }
  /// Of this rank, by executor.
  const std::vector<LaneRange>& runs() const { return plan_[static_cast<size_t>(comm_.rank())]; }
  /// Of this rank.
  LaneRange lanes() const { return {runs().front().begin, runs().back().end}; }

 private:
  comm::Communicator& comm_;
  const std::vector<int> of_ranks_;
  const comm::LanePlan plan_;
  ExecutorPool pool_;
  comm::Interrupt interrupt_;  ///< by an executor that has failed
};

}  // namespace lockstep::step

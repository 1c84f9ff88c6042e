#include "trainer/step/compiled_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/step/device_compute.h"
#include "trainer/step/host_compute.h"
#include "trainer/step/initial_weights.h"

namespace lockstep::step {
namespace {

/// The cores to pin executors to: only inside an affinity mask smaller than the machine, and one executor a core.
std::vector<int> PinnedCores(const comm::Topology& topology, const std::vector<int>& executors, int lane_threads) {
  const CoreBudget cores = QueryCores();
  // A team inherits its executor's pin, so only teams of one are pinned.
  if (static_cast<int>(cores.allowed.size()) >= cores.machine || lane_threads > 1) return {};
  const int mine = executors[static_cast<size_t>(topology.rank)];
  return static_cast<int>(cores.allowed.size()) >= mine ? cores.allowed : std::vector<int>{};
}

/// Whether this node's executors are more than its cores. Where ranks are bound to cores of their own, each looks at
/// its own.
bool Crowded(const comm::Topology& topology, const std::vector<int>& executors, int lane_threads) {
  const CoreBudget cores = QueryCores();
  const bool bound = static_cast<int>(cores.allowed.size()) < cores.machine;
  int threads = 0;
  for (int rank : topology.hosts[static_cast<size_t>(topology.host())])
    if (!bound || rank == topology.rank) threads += executors[static_cast<size_t>(rank)] * lane_threads;
  return threads > cores.usable;
}

}  // namespace

CompiledModel::CompiledModel(const plan::Job& job, plan::JobPlans plans, const std::vector<int>& executors)
    : job_(job),
      plans_(std::move(plans)),
      executors_(executors),
      plan_(plan::PlanLanes(static_cast<int>(job.train.lanes()), executors)) {
  // The communicating thread sums and updates too.
  PrepareComputeThread(static_cast<int>(job.train.lane_threads()), "");
  ExecutorPool::Options pool;
  pool.executors = executors_[rank()];
  pool.lane_threads = static_cast<int>(job.train.lane_threads());
  pool.pin_to = PinnedCores(comm().topology(), executors_, pool.lane_threads);
  pool.on_computing = [this](bool computing) { comm().SetComputing(computing); };
  pool_ = std::make_unique<ExecutorPool>(pool);
  // An executor that fails ends every wait for what it would have computed.
  comm().SetInterrupt([this] {
    if (const std::exception_ptr error = pool_->error()) std::rethrow_exception(error);
  });
  if (job.device) {
    compute_ = std::make_unique<DeviceCompute>(job, plans_, plan_, *pool_);
  } else {
    compute_ = std::make_unique<HostCompute>(job, plans_, plan_, *pool_);
  }
  comm().SetCrowded(Crowded(comm().topology(), executors_, pool.lane_threads));
}

CompiledModel::~CompiledModel() { comm().SetInterrupt(nullptr); }

void CompiledModel::Initialize() {
  if (compute_->holds_weights()) {
    InitializeWeights(plans_.model, layout(), job_.train.seed(), compute_->weights());
    if (job_.initial_weights) job_.initial_weights(layout(), compute_->weights().data());
  }
  comm().Wait(*comm().Barrier(), "the initial weights");
}

}  // namespace lockstep::step

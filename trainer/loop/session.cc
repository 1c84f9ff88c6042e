#include "trainer/loop/session.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "trainer/loop/device_compute.h"
#include "trainer/loop/host_compute.h"
#include "trainer/loop/initialize.h"
#include "trainer/loop/lane_plan.h"

namespace lockstep::loop {
namespace {

std::vector<std::string> CounterNames(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::Counter& counter : graph.counters) names.push_back(counter.name);
  return names;
}

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
  for (int rank : topology.nodes[static_cast<size_t>(topology.node())])
    if (!bound || rank == topology.rank) threads += executors[static_cast<size_t>(rank)] * lane_threads;
  return threads > cores.usable;
}

}  // namespace

Session::Session(const Job& job, JobPlans plans, const std::vector<int>& executors)
    : job_(job),
      plans_(std::move(plans)),
      executors_(executors),
      plan_(PlanLanes(static_cast<int>(job.train.lanes()), executors)) {
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

Session::~Session() { comm().SetInterrupt(nullptr); }

void Session::Initialize() {
  if (compute_->holds_weights()) {
    InitializeWeights(plans_.model, layout(), job_.train.seed(), compute_->weights());
    if (job_.initial_weights) job_.initial_weights(layout(), compute_->weights().data());
  }
  comm().Wait(*comm().Barrier(), "the initial weights");
}

const std::shared_ptr<const data::Dataset>& Session::Split(const std::string& split) const {
  if (split == "test") return job_.splits.test;
  if (split == "validation") return job_.splits.validation;
  return job_.splits.train;
}

std::optional<checkpoint::Evaluation> Session::Evaluate(const std::string& split, uint64_t step) {
  auto found =
      std::find_if(evaluators_.begin(), evaluators_.end(), [&](const auto& entry) { return entry.first == split; });
  if (found == evaluators_.end()) {
    Evaluator::Options options;
    options.split = split;
    options.dataset = Split(split);
    options.transform = job_.splits.transform;
    options.shapes = plans_.evaluation_shapes;
    options.task = job_.task;
    options.executors = executors_;
    options.counters = CounterNames(plans_.evaluate.front()->graph);
    if (job_.make_scorer) options.scorer = job_.make_scorer(options.dataset, *this);
    evaluators_.emplace_back(split, std::make_unique<Evaluator>(std::move(options)));
    found = std::prev(evaluators_.end());
  }
  compute_->PrepareEvaluation();
  return found->second->Evaluate(step, comm(), *pool_, *compute_);
}

}  // namespace lockstep::loop

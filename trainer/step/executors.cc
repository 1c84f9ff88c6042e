#include "trainer/step/executors.h"

#include "base/threads.h"
#include "trainer/plan/lane_plan.h"

namespace lockstep::step {
namespace {

ExecutorPool::Options PoolOptions(comm::Communicator& comm, const plan::TrainConfig& config,
                                  const plan::CoreShare& share) {
  ExecutorPool::Options options;
  options.executors = share.executors;
  options.lane_threads = static_cast<int>(config.lane_threads());
  options.pins = share.pins;
  options.on_computing = [&comm](bool computing) { comm.waiter().SetComputing(computing); };
  return options;
}

}  // namespace

Executors::Executors(comm::Communicator& comm, const plan::TrainConfig& config, const plan::CorePlan& cores)
    : comm_(comm),
      of_ranks_(plan::ExecutorsOf(cores)),
      plan_(plan::LanesOf(static_cast<int>(config.lanes()), cores)),
      pool_(PoolOptions(comm, config, cores[static_cast<size_t>(comm.rank())])),
      interrupt_(comm.waiter(), [this] {
        if (const std::exception_ptr error = pool_.error()) std::rethrow_exception(error);
      }) {
  comm.waiter().SetCrowded(cores[static_cast<size_t>(comm.rank())].crowded);
  PrepareComputeThread(static_cast<int>(config.lane_threads()), "");
}

}  // namespace lockstep::step

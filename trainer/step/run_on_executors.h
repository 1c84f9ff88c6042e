// Work for executors, waited for as everything is that ranks wait for.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "comm/communicator.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::step {

/// Waits on the communicating thread until the executors have done `work`; `what` is named where that takes too long.
/// Where a peer ends the waiting, executors have ended too: `work` may refer to the caller's variables.
inline void RunOnExecutors(comm::Communicator& comm, ExecutorPool& pool, const std::string& what,
                           std::function<void(int executor)> work) {
  const IdleBehind idle(pool);
  pool.Start(std::move(work));
  comm.WaitUntil([&] { return pool.Finished(); }, what);
}

}  // namespace lockstep::step

// The communicator of real jobs: Open MPI 4 and 5, or any MPI 3. The only folder that includes <mpi.h>.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "comm/communicator.h"

namespace lockstep::comm {

struct MpiOptions {
  /// At most so many ranks make a host (0: all that share memory): tests several hosts on one machine.
  int ranks_per_host = 0;
  /// Where given, MPI_Finalize has fifteen seconds: it waits for all ranks, and one that was stopped on its way out
  /// never comes. Then this is called, on a thread of its own, with Error(kPeer); it has to end the process.
  std::function<void(const Error&)> on_stuck_end = nullptr;
};

/// Starts MPI (THREAD_FUNNELED) and orders ranks by (host, local rank). REQUIRES: called once, on the thread that will
/// communicate. MPI_Finalize runs in the destructor, unless an Abort went before or an exception is under way.
std::unique_ptr<Communicator> StartMpi(const MpiOptions& options = {});

/// "Open MPI 4.1.4", "MPICH 5.0.2": without starting MPI.
std::string MpiDescription();

}  // namespace lockstep::comm

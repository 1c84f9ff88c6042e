// Threads as ranks: the communicator of unit tests, where a world is made in one process, with delays and deaths on
// request; and, with one rank, of a job that no launcher started.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace lockstep::comm {

struct LocalWorldOptions {
  int world_size = 1;
  /// Ranks per simulated host: {2, 1} makes host 0 of ranks 0-1 and host 1 of rank 2. Empty: one host.
  std::vector<int> ranks_per_host = {};
  /// Called at the start of each operation of each rank, on its thread: tests delay or throw here. `operation` counts
  /// per rank.
  std::function<void(int rank, int64_t operation)> on_operation = {};
};

/// One communicator per rank, for one thread each.
std::vector<std::unique_ptr<Communicator>> MakeLocalWorld(const LocalWorldOptions& options);

/// Runs `body(communicator)` on one thread per rank and joins them. An exception in one rank aborts the others; the
/// first (that is not PeerAborted) is rethrown.
void RunLocalWorld(const LocalWorldOptions& options, const std::function<void(Communicator&)>& body);

}  // namespace lockstep::comm

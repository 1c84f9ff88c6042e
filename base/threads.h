// Starting a thread, and what it must do before it computes.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace lockstep {

/// A thread called `name` that runs `body`. Throws Error(kMemory) where the system gives none: limits of processes
/// (ulimit -u, a cgroup's pids.max) count threads too, and each needs memory for its stack. REQUIRES: `body` throws
/// nothing, which would end the process.
std::thread StartThread(const std::string& name, std::function<void()> body);

/// Prepares the calling thread for arithmetic whose bits count: denormals flush to zero (MXCSR's FTZ and DAZ), and
/// OpenMP teams that it starts have `team_size` threads (dynamic adjustment off). Every thread that computes calls this
/// first.
void PrepareComputeThread(int team_size, const std::string& name);

}  // namespace lockstep

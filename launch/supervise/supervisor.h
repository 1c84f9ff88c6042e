// `lockstep run`: starts ranks, waits for their end, and starts them again, from the newest good checkpoint, on the
// hosts that answer, until the run is done or trying again makes no sense.
//
// One thread. Signals that ask to stop are blocked and read between other things; ranks get them as SIGUSR1 (or 2), the
// only ones that mpirun passes on as they are: at SIGTERM and SIGINT it gives ranks no time to save.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "launch/supervise/hosts.h"
#include "launch/supervise/restart_policy.h"

namespace lockstep::launch {

enum class Launcher { kMpirun, kSrun };

struct SupervisedJob {
  Launcher launcher = Launcher::kMpirun;
  int ranks = 1;                      ///< at first, and at most
  std::vector<Host> hosts;            ///< with slots; none: this machine, or the batch system's
  std::chrono::seconds patience{60};  ///< with a host that is silent: the watchdog's timeout
  std::string folder;                 ///< of the run, absolute
  std::vector<std::string> train;     ///< words after "lockstep train"
  std::vector<std::string> plan;  ///< words after "lockstep plan -n RANKS", which tells the memory that a rank needs
  bool fresh = false;             ///< the first start that reaches the folder moves an old run aside
  std::optional<std::chrono::seconds> stop_after;  ///< all starts together
  RestartPolicy::Options policy;
};

/// Returns the exit code. Throws Error where it gives up.
int Supervise(const SupervisedJob& job);

}  // namespace lockstep::launch

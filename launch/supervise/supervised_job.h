// What `lockstep run` supervises.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "launch/supervise/launcher/hosts.h"
#include "launch/supervise/restart_policy.h"

namespace lockstep::launch {

enum class Launcher {
  kMpirun,
  kSrun,
  kNone,  ///< one rank here, a child of the supervisor
};

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

}  // namespace lockstep::launch

// Command lines of mpirun, as far as the installed version knows the options, and of srun.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launch/supervise/launcher/hosts.h"

namespace lockstep::launch {

struct MpirunVersion {
  enum Kind { kOpenMpi, kHydra, kUnknown };  ///< Hydra is MPICH's and Intel's
  Kind kind = kUnknown;
  int major = 0, minor = 0;
};

/// From what `mpirun --version` prints.
MpirunVersion ParseMpirunVersion(const std::string& printed);
/// Asks the mpirun on the PATH. Throws Error(kUsage) where there is none.
MpirunVersion InstalledMpirun();

/// mpirun's exit code as a shell says it, 128 + signal where one ended a rank: Hydra gives the signal's number alone.
/// Numbers that are exit codes of ranks too (6, say) are taken for these.
int ShellsCode(const MpirunVersion& version, int code);

/// What is to be started.
struct RankLaunch {
  int ranks = 1;
  std::vector<Host> hosts;  ///< with slots; none: this machine, or what the batch system has given
  std::chrono::seconds patience{
      60};                     ///< the watchdog's timeout, which the launcher's own patience with a silent host follows
  bool in_allocation = false;  ///< a batch system says which hosts there are, and how many ranks fit
  std::string agent;           ///< the program that mpirun reaches other hosts with; empty: its own choice
  std::vector<std::string> exported;  ///< names of environment variables that ranks on other hosts need
  std::vector<std::string> program;
};

std::vector<std::string> MpirunCommand(const MpirunVersion& version, const RankLaunch& launch);
std::vector<std::string> SrunCommand(const RankLaunch& launch);

}  // namespace lockstep::launch

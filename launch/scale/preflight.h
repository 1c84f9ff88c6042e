// Before a study: what about this machine would make its numbers mislead.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/machine/cores.h"

namespace lockstep::launch {

/// What the kernel says of a machine, as far as it does.
struct MachineView {
  CoreBudget cores = {};
  std::vector<std::string> governors = {};  ///< of the cores that may be used, each once; empty where there are none
  double busy_cores = 0;                    ///< that others have computed on while it was looked at
  uint64_t throttled = 0;                   ///< periods in which this process's control group was held back, so far
  uint64_t hot = 0;                         ///< times that cores were slowed because they were hot, so far
};

/// Looks for `time`, in which this process does nothing. Files are read below `root`, which tests set.
MachineView LookAtMachine(std::chrono::milliseconds time, const std::string& root = "");

/// Something that misleads, and what to do about it.
struct Obstacle {
  std::string what, remedy = {};
};

/// What stands in the way of measuring up to `ranks` ranks with `executors` threads each on this machine.
std::vector<Obstacle> ObstaclesOf(const MachineView& view, int ranks, int executors);

/// What happened between two looks that misleads.
std::vector<Obstacle> ObstaclesBetween(const MachineView& before, const MachineView& after);

}  // namespace lockstep::launch

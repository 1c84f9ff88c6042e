// Measures the hosts of a study and their links: `lockstep measure-limits` on the ranks of its largest point, started
// as that point's runs are.
#pragma once

#include <string>

#include "launch/scale/host_limits.h"
#include "launch/scale/study_folder.h"

namespace lockstep::launch {

struct LimitsSetup {
  std::string folder = {};                ///< of the study, which the first rank writes into
  std::string hosts = {}, hostfile = {};  ///< of --hosts or --hostfile; neither: this machine, or the batch system's
  std::string launcher = "mpirun";
  int ranks = 1;
  int cores = 0;  ///< of a rank; 0: its share
};

/// Throws Error(kUsage) with what the ranks say where they fail, and Error(kPreempted) where this process is asked to
/// stop meanwhile.
HostLimits MeasureLimits(const LimitsSetup& setup);

/// Adds them to a study, as limits those of the slowest host; where they can't be measured, the study says so.
void AddHostLimits(const LimitsSetup& setup, StudyFacts& facts);

}  // namespace lockstep::launch

// The run that `lockstep profile` makes of a recipe: a `lockstep run` of its own, as long as its profile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::launch {

struct ProfiledJob {
  std::string folder = {};                 ///< of the run; an older run in it goes
  std::string log = {};                    ///< a file for what the run says
  std::string recipe = {};                 ///< path
  std::vector<std::string> launcher = {};  ///< words for `lockstep run`: -n 4, --hosts h1,h2
};

/// What --set has to make of a recipe, so that it runs for as long as its profile.
std::vector<std::string> SettingsOf(uint64_t steps, uint64_t warm_up_steps);

/// Throws Error where the run fails, with its reason, and Error(kPreempted) where this process is asked to stop
/// meanwhile: the run is ended first.
void RunProfiledJob(const ProfiledJob& job);

}  // namespace lockstep::launch

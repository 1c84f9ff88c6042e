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
  std::vector<std::string> settings = {};  ///< of --set
  std::vector<std::string> launcher = {};  ///< words for `lockstep run`: -n 4, --hosts h1,h2
  uint64_t steps = 20, warm_up_steps = 10;
};

/// The words of the command.
std::vector<std::string> WordsOf(const ProfiledJob& job);

/// Throws Error where the run fails, with its reason, and Error(kPreempted) where this process is asked to stop
/// meanwhile: the run is ended first.
void RunProfiledJob(const ProfiledJob& job);

}  // namespace lockstep::launch

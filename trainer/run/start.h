// How an attempt of a run is started: its folder, and what the command line and the launcher say of it.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/files/file.h"
#include "trainer/plan/run_identity.h"

namespace lockstep::run {

struct Start {
  std::string folder;                       ///< of the run
  FileSystem* files = &FileSystem::Real();  ///< that it is in
  /// Which run a resolved recipe is, as the folder holds it: launch knows recipes. Throws Error(kUsage).
  std::function<plan::RunIdentity(const std::string& resolved)> read_identity;
  bool fresh = false;            ///< move an old run aside
  bool accept_build = false;     ///< continue a run that another build of lockstep began
  bool change_numerics = false;  ///< device, precision, instruction set or lanes may change where a run goes on
  bool change_recipe = false;    ///< what steers training may change where a run goes on
  bool quiet = false;            ///< no progress
  bool terminal = false;         ///< draw a progress bar
  std::optional<std::chrono::steady_clock::time_point> stop_before;  ///< the end of the job's time
  double grace_seconds = 0;  ///< between a signal to stop and the end, where known; 0: unknown
  /// Says the error and ends the process, from any thread: for a rank whose main thread is stuck.
  std::function<void(const Error&)> end_stuck;
};

}  // namespace lockstep::run

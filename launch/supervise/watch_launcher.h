// Waits for the end of mpirun or srun, as a person would want it watched: what ranks say is shown at once, requests to
// stop are passed on, and a second Ctrl-C ends it without saving.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "launch/supervise/child_process.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/stop_requests.h"

namespace lockstep::launch {

/// Returns when `launcher` has ended and all it said is in `output`. `look` is called twice a second, at least, for
/// what tells nobody that it changed, and once at the end. REQUIRES: the launcher's standard error is a pipe.
///
/// Ranks get a request as SIGUSR1 or SIGUSR2, the only signals that mpirun passes on as they are: at SIGTERM and SIGINT
/// it gives them no time to save. After a second SIGINT the launcher gets SIGTERM, and SIGKILL three seconds later.
///
/// A launcher that lives on for `after_error` when a rank has said why it ended, or mpirun that it has lost a host or a
/// rank that had hardly started, gets SIGKILL, where that is given: mpirun tells all hosts to end their ranks, and
/// waits, deaf to signals, for each that it can't reach any more. Returns whether that was so.
bool WatchLauncher(ChildProcess& launcher, StopRequests& requests, LauncherOutput& output,
                   const std::function<void()>& look,
                   std::optional<std::chrono::milliseconds> after_error = std::nullopt);

}  // namespace lockstep::launch

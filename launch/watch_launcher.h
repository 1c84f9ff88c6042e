// Waits for the end of mpirun or srun, as a person would want it watched: what ranks say is shown at once, requests to
// stop are passed on, and a second Ctrl-C ends it without saving.
#pragma once

#include <functional>

#include "launch/child_process.h"
#include "launch/launcher_output.h"
#include "launch/stop_requests.h"

namespace lockstep::launch {

/// Returns when `launcher` has ended and all it said is in `output`. `look` is called twice a second, at least, for
/// what tells nobody that it changed, and once at the end. REQUIRES: the launcher's standard error is a pipe.
///
/// Ranks get a request as SIGUSR1 or SIGUSR2, the only signals that mpirun passes on as they are: at SIGTERM and SIGINT
/// it gives them no time to save. After a second SIGINT the launcher gets SIGTERM, and SIGKILL three seconds later.
void WatchLauncher(ChildProcess& launcher, StopRequests& requests, LauncherOutput& output,
                   const std::function<void()>& look);

}  // namespace lockstep::launch

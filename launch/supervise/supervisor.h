// `lockstep run`: starts ranks, waits for their end, and starts them again, from the newest good checkpoint, on the
// hosts that answer, until the run is done or trying again makes no sense.
//
// One thread. Signals that ask to stop are blocked and read between other things; ranks get them as SIGUSR1 (or 2), the
// only ones that mpirun passes on as they are: at SIGTERM and SIGINT it gives ranks no time to save.
#pragma once

#include "launch/supervise/supervised_job.h"

namespace lockstep::launch {

/// Returns the exit code. Throws Error where it gives up.
int Supervise(const SupervisedJob& job);

}  // namespace lockstep::launch

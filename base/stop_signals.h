// Being asked to stop before the end by a signal.
//
// SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and SIGHUP (a terminal that goes away; not under nohup) all mean the same. Until
// the first step there is nothing to save, and a signal ends the process at once with exit code 75. From then on the
// loop looks at StopSignal() after every step and inside every evaluation, and ranks agree on the step to stop at;
// signals that come twice, or at some ranks only, change nothing. A second SIGINT, a second or more after the first,
// ends the process at once: what is on disk is whole at any moment.
#pragma once

namespace lockstep {

/// Installs the handlers. Once, before ranks are joined. `speaks`: this process says that it was stopped before the
/// first step.
void InstallStopSignals(bool speaks);
/// From now on signals are polled.
void PollStopSignals();
/// The signal that asked to stop; 0: none has.
int StopSignal();

}  // namespace lockstep

// Environment variables that a supervisor sets for the ranks that it starts.
#pragma once

namespace lockstep::launch {

/// The job's id: what the job leaves behind is known by it (job_traces.h).
inline constexpr char kJobVariable[] = "LOCKSTEP_JOB";

/// "1" where standard error ends up on a terminal, else "0": a supervisor stands between it and the ranks.
inline constexpr char kTerminalVariable[] = "LOCKSTEP_TERMINAL";

}  // namespace lockstep::launch

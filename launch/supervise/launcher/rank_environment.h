// What a supervisor and the ranks that it starts tell each other: environment variables, and a line.
#pragma once

#include <string_view>

namespace lockstep::launch {

/// The job's id: what the job leaves behind is known by it (job_traces.h).
inline constexpr char kJobVariable[] = "LOCKSTEP_JOB";

/// "1" where standard error ends up on a terminal, else "0": a supervisor stands between it and the ranks.
inline constexpr char kTerminalVariable[] = "LOCKSTEP_TERMINAL";

/// The line on standard error with which the first rank tells its supervisor that all ranks have found each other. It
/// is not shown.
inline constexpr std::string_view kJoinedLine = "lockstep: all ranks have joined";

}  // namespace lockstep::launch

// A profile as a trace that ui.perfetto.dev and chrome://tracing open: Chrome's Trace Event Format, as JSON. A process
// is a rank, a thread an executor or the one that communicates; events lie within each other as they happened. What is
// said of an event beside its name stands in its args: step (0-based), lane, bucket, FLOP, bytes.
#pragma once

#include <functional>
#include <string_view>

#include "launch/profile/profiled_run.h"

namespace lockstep::launch {

/// Calls `append` with one piece of the file after the other.
void WriteTrace(const ProfiledRun& run, const std::function<void(std::string_view text)>& append);

}  // namespace lockstep::launch

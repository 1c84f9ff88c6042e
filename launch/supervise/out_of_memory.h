// What to tell a person whose ranks the kernel has killed for want of memory.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "launch/supervise/start_cause.h"

namespace lockstep::launch {

/// With what a rank needs, as `lockstep plan -n RANKS PLAN...` says, beside the limit.
Error OutOfMemory(const std::vector<std::string>& plan, int ranks, const StartCause& cause);

}  // namespace lockstep::launch

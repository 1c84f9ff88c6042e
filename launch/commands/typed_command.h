// The command line that was typed, for reports that say how to repeat them.
#pragma once

#include <string>

namespace lockstep::launch {

/// "lockstep tune r.textproto ...", as a shell reads it back.
std::string TypedCommand();

}  // namespace lockstep::launch

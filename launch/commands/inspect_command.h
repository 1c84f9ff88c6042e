// `lockstep inspect PATH`: what a run folder, checkpoint or flight record holds, for a person or (--json) for a
// program.
#pragma once

#include <string>

namespace lockstep::launch {

struct InspectOptions {
  std::string path;  ///< a run folder, a checkpoint folder, or flight records (launch/commands/inspect_flight.h)
  bool json = false;
  size_t last = 20;  ///< collectives, of flight records
};

/// Prints to standard output and returns 0. Throws Error(kCheckpoint).
int InspectCommand(const InspectOptions& options);

}  // namespace lockstep::launch

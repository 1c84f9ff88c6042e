// `lockstep verify PATH`: reads every byte of a checkpoint, or of each of a run's checkpoints.
#pragma once

#include <string>

namespace lockstep::launch {

struct VerifyOptions {
  std::string path;  ///< a run folder or a checkpoint folder
};

/// Prints a line for each checkpoint; returns 0 where all are whole, else 4. Throws Error(kCheckpoint) where there is
/// none.
int VerifyCommand(const VerifyOptions& options);

}  // namespace lockstep::launch

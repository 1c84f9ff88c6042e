// The worker: what every rank runs. It shakes hands with the coordinator, makes or loads the state, and walks the steps.
#pragma once

#include <string>

#include "trainer/loop/job.h"

namespace lockstep::loop {

struct Outcome {
  std::string line;   ///< the done line, on rank 0 of a run that is done
  int exit_code = 0;  ///< 75 (ErrorKind::kPreempted) where the run was asked to stop and can go on
};

/// Trains. Collective.
Outcome Train(const Job& job);

}  // namespace lockstep::loop

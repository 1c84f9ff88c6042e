// The worker: what every rank runs. It shakes hands with the coordinator, makes or loads the state, and walks the steps.
#pragma once

#include <string>

#include "trainer/loop/job.h"

namespace lockstep::loop {

/// Trains. Collective. Returns the done line on rank 0, an empty string elsewhere.
std::string Train(const Job& job);

}  // namespace lockstep::loop

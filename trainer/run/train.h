// One attempt of a run, from the ranks' handshake to the verdict on how it ended.
#pragma once

#include "trainer/run/job.h"
#include "trainer/run/start.h"
#include "trainer/run/worker.h"

namespace lockstep::run {

/// Trains: goes on where the run folder stands, or begins. Collective. Throws what ends an attempt (base/error.h),
/// after noting in the run folder what it was and what every rank did last.
Outcome Train(const Job& job, const Start& start);

}  // namespace lockstep::run

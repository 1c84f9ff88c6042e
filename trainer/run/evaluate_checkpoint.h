// Evaluation of a checkpoint outside of training.
#pragma once

#include <string>

#include "trainer/run/job.h"
#include "trainer/run/progress/evaluation_progress.h"
#include "trainer/run/progress/reporter.h"

namespace lockstep::run {

/// Evaluates the weights of the checkpoint at `path` (or of a run's newest) on the reported split of the job.
/// Collective. `shown`: what this rank shows meanwhile. Returns what the "eval ..." line says. Throws
/// Error(kCheckpoint).
ResultLine EvaluateCheckpoint(const Job& job, const std::string& path, const EvaluationProgress::Options& shown);

}  // namespace lockstep::run

// What a Slurm job runs, as parts of its script: the command, how far it has come, and what is said at its end.
#pragma once

#include <string>

#include "launch/slurm/job_script.h"

namespace lockstep::launch {

/// "lockstep submit": what writes the script.
std::string WriterOf(JobWork work);

/// "srun" or "mpirun", as the site says.
std::string LauncherIn(const JobScript& job);

/// The line that does the work.
std::string WorkCommand(const JobScript& job);

/// A function of shell, `progress`, which prints what is different whenever the work has come further: of a run its
/// newest checkpoint's step, of a study its runs that have ended, of a sweep its trials and their checkpoints.
std::string ProgressFunction(JobWork work);

/// Lines of shell that say how the work has ended, where $code is its exit code.
std::string SayEnd(JobWork work);

}  // namespace lockstep::launch

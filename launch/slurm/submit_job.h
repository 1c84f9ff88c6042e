// From a script to Slurm's queue.
#pragma once

#include <string>

#include "launch/slurm/sbatch_script.h"

namespace lockstep::launch {

struct Submission {
  bool fresh = false;     ///< what lies in the folder is moved aside
  int jobs = 1;           ///< so many, each after the other
  std::string then = {};  ///< a line that is printed when Slurm has taken them: where results will be
  bool dry_run = false;   ///< the script is printed, and nothing else happens
};

/// Writes the script into the folder of the job and submits it. Where Slurm takes no job, the folder is what it was
/// before. Throws Error(kUsage) with what sbatch says.
void SubmitJob(const JobScript& job, const Submission& submission);

/// The command of a study's or a sweep's job as TypedCommand says it there: by it, one that goes on is known.
std::string TypedInJob(const JobScript& job);

/// A study or a sweep in `folder`, whose largest step has `ranks`: they are dealt to the nodes, unless a number of them
/// is said. Throws Error(kUsage) where these are fewer, or where the options make a job array.
void DealStudy(const std::string& name, const std::string& folder, int ranks, bool ranks_are_said, JobScript& job);

}  // namespace lockstep::launch

// The script of a Slurm job that survives: pure text.
#pragma once

#include <string>
#include <vector>

#include "launch/slurm/job_script.h"

namespace lockstep::launch {

/// Any bytes may stand in paths. Throws Error(kUsage) where an option for sbatch has bytes that its lines can't hold.
std::string FormatScript(const JobScript& job);

/// The folder of the script and of what the job prints: the run's. A job array has several runs, and this folder beside
/// theirs.
std::string ScriptFolder(const JobScript& job);

/// Whether these options for sbatch make a job array.
bool MakesArray(const std::vector<std::string>& sbatch);

}  // namespace lockstep::launch

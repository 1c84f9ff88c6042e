// When the time of this process's job is over, as far as Slurm says.
#pragma once

#include <chrono>
#include <optional>

namespace lockstep::launch {

/// The end of the Slurm job that this process is in, at its time limit: from SLURM_JOB_END_TIME, which newer versions
/// set, else from squeue. Nothing outside of Slurm, without a limit, on other ranks than the first (it decides), and
/// where squeue does not answer in time. An end that has passed is of a job that this process has outlived (in tmux or
/// screen): it is said, and nothing. Starts a process: call it before MPI is there.
std::optional<std::chrono::steady_clock::time_point> EndOfSlurmJob();

}  // namespace lockstep::launch

// How a supervisor starts ranks: the words of the launcher's command, and the launcher as a child process.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/mpirun.h"
#include "launch/supervise/placement.h"
#include "launch/supervise/supervised_job.h"

namespace lockstep::launch {

/// "mpirun" or "srun"; "lockstep train" where there is none.
std::string NameOf(Launcher launcher);

/// `program`, a word each, on the ranks and hosts of `placement`. `patience` as SupervisedJob's. With Launcher::kNone
/// the program itself.
std::vector<std::string> LaunchCommand(Launcher launcher, const MpirunVersion& mpirun, const Placement& placement,
                                       std::chrono::seconds patience, const std::vector<std::string>& program);

/// The command of the next start. `fresh`: it moves an old run aside; `time_left`: after which ranks save and end.
std::vector<std::string> StartCommand(const SupervisedJob& job, const MpirunVersion& mpirun, const Placement& placement,
                                      bool fresh, std::optional<std::chrono::seconds> time_left);

/// The launcher gets a group of its own and its standard error is a pipe; its ranks know the job by `job_id`.
ChildOptions LauncherOptions(const std::string& job_id);

}  // namespace lockstep::launch

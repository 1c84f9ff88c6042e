#include "launch/supervise/start_command.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "launch/supervise/launcher/own_program.h"
#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {
namespace {

/// Names of variables that ranks on other hosts need.
std::vector<std::string> ExportedVariables() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(*entry, std::strcspn(*entry, "="));
    if (name.starts_with("LOCKSTEP_") || name == "LD_LIBRARY_PATH" || name == "PATH") names.push_back(name);
  }
  for (const char* own : {kJobVariable, kTerminalVariable})
    if (std::getenv(own) == nullptr) names.emplace_back(own);
  return names;
}

}  // namespace

std::string NameOf(Launcher launcher) {
  return launcher == Launcher::kSrun ? "srun" : launcher == Launcher::kNone ? "lockstep train" : "mpirun";
}

std::vector<std::string> LaunchCommand(Launcher launcher, const MpirunVersion& mpirun, const Placement& placement,
                                       std::chrono::seconds patience, const std::vector<std::string>& program) {
  if (launcher == Launcher::kNone) return program;
  RankLaunch launch;
  launch.ranks = placement.ranks();
  launch.hosts = placement.hosts();
  launch.patience = patience;
  launch.in_allocation = std::getenv("SLURM_JOB_ID") != nullptr;
  launch.agent = AgentForMpirun();
  if (placement.HasOthers() || launch.in_allocation) launch.exported = ExportedVariables();
  launch.program = program;
  return launcher == Launcher::kSrun ? SrunCommand(launch) : MpirunCommand(mpirun, launch);
}

std::vector<std::string> StartCommand(const SupervisedJob& job, const MpirunVersion& mpirun, const Placement& placement,
                                      bool fresh, std::optional<std::chrono::seconds> time_left) {
  std::vector<std::string> program = {OwnProgram(), "train"};
  program.insert(program.end(), job.train.begin(), job.train.end());
  if (fresh) program.emplace_back("--fresh");
  if (time_left) program.push_back(fmt::format("--stop-after={}s", std::max<int64_t>(1, time_left->count())));
  return LaunchCommand(job.launcher, mpirun, placement, job.patience, program);
}

ChildOptions LauncherOptions(const std::string& job_id) {
  ChildOptions options;
  options.environment = {{kJobVariable, job_id}, {kTerminalVariable, isatty(STDERR_FILENO) ? "1" : "0"}};
  if (geteuid() == 0)  // whoever starts this as root has decided so
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PRTE_ALLOW_RUN_AS_ROOT",
                             "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"})
      options.environment.emplace(name, std::string(1, '1'));
  options.pipe_stderr = true;
  options.own_group = true;
  // mpirun then ends its ranks and removes its files, which it could not if it were killed.
  options.death_signal = SIGTERM;
  return options;
}

}  // namespace lockstep::launch

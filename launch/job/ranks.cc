#include "launch/job/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "base/error.h"
#include "comm/local/local_communicator.h"
#include "launch/job/mpi.h"
#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {
namespace {

int EnvironmentInteger(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atoi(value);
}

/// What started this process, and how many tasks it says there are.
struct Launcher {
  const char* name = nullptr;
  int tasks = 1;
};

/// Whether a process is slurmstepd, which srun's tasks are children of.
bool IsStepDaemon(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return name == "slurmstepd";
}

/// Whether a person types in a shell of `srun -n 4 --pty bash`: the shells of the other tasks have no terminal and
/// have ended, so that nobody else is there to be joined.
bool InShellOfSrun() {
  return std::getenv("SLURM_PTY_PORT") != nullptr && EnvironmentInteger("SLURM_PROCID") == 0 &&
         !IsStepDaemon(getppid());
}

/// Whether the variables of PMI or PMIx are those of another launcher inside of srun's step: of Hydra, or of PRRTE.
bool InnerLauncherOfSrun() {
  if (std::getenv("PMI_SIZE") != nullptr && std::getenv("MPI_LOCALNRANKS") != nullptr) return true;
  const char* const space = std::getenv("PMIX_NAMESPACE");
  return std::getenv("PMIX_RANK") != nullptr && space != nullptr && !std::string(space).starts_with("slurm.");
}

/// Variables that are srun's alone say nothing of MPI: of one task, they are those of any program under Slurm.
Launcher DetectLauncher() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE")) return {"mpirun", EnvironmentInteger("OMPI_COMM_WORLD_SIZE")};
  if (std::getenv("SLURM_STEP_ID") && std::getenv("SLURM_PROCID") && !InnerLauncherOfSrun()) {
    const int tasks = EnvironmentInteger("SLURM_STEP_NUM_TASKS");
    return tasks <= 1 || InShellOfSrun() ? Launcher{} : Launcher{"srun", tasks};
  }
  if (std::getenv("PMI_SIZE")) return {"mpiexec", EnvironmentInteger("PMI_SIZE")};
  if (std::getenv("PMIX_RANK")) return {"a PMIx launcher", 1};
  return {};
}

/// All tasks find the same thing wrong with their launcher, and only the first of them says so.
[[noreturn]] void Refuse(const Error& error) {
  if (!IsFirstProcess()) throw comm::PeerAborted(0, error.exit_code());
  throw error;
}

}  // namespace

bool IsFirstProcess() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (std::getenv(name) != nullptr) return EnvironmentInteger(name) == 0;
  return true;
}

std::unique_ptr<comm::Communicator> JoinRanks(std::function<void(const Error&)> on_stuck_end) {
  const Launcher launcher = DetectLauncher();
  if (launcher.name == nullptr) return std::move(comm::MakeLocalWorld({}).front());
  const bool srun = std::string(launcher.name) == "srun";
  const std::string srun_command = fmt::format("start with srun --mpi=pmix -n {} lockstep train ...", launcher.tasks);
  const MpiModule& mpi = RequireMpi();
  // Open MPI ends the process in MPI_Init with words of its own where srun offers no PMIx.
  if (srun && launcher.tasks > 1 && std::getenv("PMIX_RANK") == nullptr && mpi.description.starts_with("Open MPI"))
    Refuse(Error(ErrorKind::kUsage,
                 fmt::format("srun started {} tasks without PMIx: they can't find each other", launcher.tasks), "",
                 srun_command));
  std::unique_ptr<comm::Communicator> comm = mpi.start({.on_stuck_end = std::move(on_stuck_end)});
  if (comm->world_size() == 1 && launcher.tasks > 1)
    Refuse(Error(ErrorKind::kUsage,
                 fmt::format("{} started {} tasks, but {} sees one: each would train a run of its own", launcher.name,
                             launcher.tasks, mpi.description),
                 "", srun ? srun_command : fmt::format("use the mpirun of {}", mpi.description)));
  return comm;
}

bool OnTerminal() {
  if (const char* said = std::getenv(kTerminalVariable)) return *said == '1';
  if (!isatty(STDERR_FILENO)) return false;
  if (std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr) return true;
  char target[256];
  const ssize_t length = readlink(fmt::format("/proc/{}/fd/2", getppid()).c_str(), target, sizeof(target) - 1);
  if (length <= 0) return false;
  const std::string name(target, static_cast<size_t>(length));
  return name.rfind("/dev/pts/", 0) == 0 || name.rfind("/dev/tty", 0) == 0;
}

}  // namespace lockstep::launch

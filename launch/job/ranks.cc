#include "launch/job/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "comm/local/local_communicator.h"
#include "comm/mpi/mpi_communicator.h"
#include "launch/supervise/rank_environment.h"

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

Launcher DetectLauncher() {
  if (std::getenv("OMPI_COMM_WORLD_SIZE")) return {"mpirun", EnvironmentInteger("OMPI_COMM_WORLD_SIZE")};
  if (std::getenv("SLURM_STEP_ID") && std::getenv("SLURM_PROCID"))
    return {"srun", EnvironmentInteger("SLURM_STEP_NUM_TASKS")};
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

std::unique_ptr<comm::Communicator> JoinRanks() {
  const Launcher launcher = DetectLauncher();
  if (launcher.name == nullptr) return std::move(comm::MakeLocalWorld({}).front());
  const bool srun = std::string(launcher.name) == "srun";
  const std::string srun_command = fmt::format("start with srun --mpi=pmix -n {} lockstep train ...", launcher.tasks);
  // Open MPI ends the process in MPI_Init with words of its own where srun offers no PMIx.
  if (srun && launcher.tasks > 1 && std::getenv("PMIX_RANK") == nullptr &&
      comm::MpiDescription().starts_with("Open MPI"))
    Refuse(Error(ErrorKind::kUsage,
                 fmt::format("srun started {} tasks without PMIx: they can't find each other", launcher.tasks), "",
                 srun_command));
  std::unique_ptr<comm::Communicator> comm = comm::StartMpi();
  if (comm->world_size() == 1 && launcher.tasks > 1)
    Refuse(Error(ErrorKind::kUsage,
                 fmt::format("{} started {} tasks, but {} sees one: each would train a run of its own", launcher.name,
                             launcher.tasks, comm::MpiDescription()),
                 "", srun ? srun_command : fmt::format("use the mpirun of {}", comm::MpiDescription())));
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

// lockstep doctor: what this machine has, and what to do about it. Runs without MPI.
#include "launch/commands/commands.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/log.h"
#include "base/machine/cores.h"
#include "base/machine/cpu_info.h"
#include "base/machine/host.h"
#include "base/machine/infiniband.h"
#include "base/machine/openmp_environment.h"
#include "base/machine/rapl_meter.h"
#include "launch/commands/errors.h"
#include "launch/estimate/machine_record.h"
#include "launch/estimate/measure_machine.h"
#include "launch/job/gpu.h"
#include "launch/job/mpi.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/mpirun_check.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::launch {
namespace {

void Row(const std::string& name, const std::string& value, const std::string& advice = "") {
  std::printf("%-12s %s\n", name.c_str(), value.c_str());
  if (!advice.empty()) std::printf("%-12s -> %s\n", "", advice.c_str());
}

void Cores() {
  const CoreBudget cores = QueryCores();
  std::string text = fmt::format("{} usable of {} online", cores.usable, cores.machine);
  if (static_cast<int>(cores.allowed.size()) < cores.machine)
    text += fmt::format("; the affinity mask allows {}", cores.allowed.size());
  if (cores.quota > 0) text += fmt::format("; the cgroup's quota allows {}", cores.quota);
  if (cores.slurm > 0) text += fmt::format("; SLURM_CPUS_PER_TASK allows {}", cores.slurm);
  Row("cores", text,
      cores.usable < cores.machine ? "start with all cores: mpirun --bind-to none, or sbatch --cpus-per-task" : "");
}

void OpenMpVariables() {
  for (const std::string& variable : IgnoredOpenMpVariables())
    Row("", variable + " is not followed: executors choose their cores");
}

void SharedMemory() {
  struct statvfs info;
  if (statvfs("/dev/shm", &info) != 0) {
    Row("/dev/shm", "missing", "ranks of one host share gradients there; mount a tmpfs on /dev/shm");
    return;
  }
  const double free_mib = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / (1 << 20);
  Row("/dev/shm", fmt::format("{:.0f} MiB free", free_mib),
      free_mib < 1024
          ? "small: ranks of one host keep weights and gradients there; in a container start with --shm-size=4g"
          : "");
}

void OpenFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  Row("open files", fmt::format("{}", limit.rlim_cur),
      limit.rlim_cur < 1024 ? "low: raise it with ulimit -n 4096" : "");
}

/// What Open MPI alone asks of root, where this process has not been told.
std::string AdviceForRoot(const std::string& library) {
  if (geteuid() != 0 || std::getenv("OMPI_ALLOW_RUN_AS_ROOT") != nullptr || !library.starts_with("Open MPI "))
    return "";
  return "as root, mpirun wants OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 (lockstep run sets them)";
}

void Mpi() {
  const MpiView& view = ViewMpi();
  if (view.module == nullptr) {
    Row("MPI", "none: " + view.why_none, "one rank needs none; for more, install the MPI that lockstep was built with");
    return;
  }
  const std::string library = view.module->description, mpirun = PathOf("mpirun");
  Row("MPI", library, AdviceForRoot(library));
  if (mpirun.empty()) {
    Row("mpirun", "none on the PATH",
        fmt::format("one rank needs none; for more, put the mpirun of {} on the PATH, or start with srun", library));
    return;
  }
  const MpirunVersion version = InstalledMpirun();
  Row("mpirun", fmt::format("{}, {}", NameOf(version), mpirun), MismatchOf(version, library));
}

void Gpus() {
  const GpuView& view = ViewGpus();
  if (view.module != nullptr) Row("CUDA", view.module->versions);
  if (view.devices.empty()) Row("GPU", "none: " + view.why_none);
  for (const DeviceInfo& device : view.devices)
    Row(fmt::format("GPU {}", device.ordinal),
        fmt::format("{}, {:.1f} GiB, compute capability {}.{}, {} processors, {}", device.name,
                    static_cast<double>(device.memory) / (1 << 30), device.major, device.minor, device.processors,
                    device.uuid));
  for (const char* name : {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
    if (const char* value = std::getenv(name)) Row("", fmt::format("{}={}", name, value));
  for (const InfinibandPort& port : InfinibandPorts())
    Row("network", fmt::format("{} port {}: {}, {}", port.card, port.port, port.state, port.rate));
}

/// Measures this machine for `plan`, and keeps what comes of it at `path`; empty: where plan looks.
int Measure(std::string path) {
  if (path.empty()) path = KeptMachinePath();
  if (path.empty())
    throw Error(ErrorKind::kUsage, "there is no home to keep a measurement in", "",
                "say where: lockstep doctor --measure --to FILE");
  const std::string folder = std::filesystem::absolute(path).parent_path();
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(folder);
  const MachineRecord record = MeasureMachine([](const std::string& what) { LogNote("measuring: {}", what); });
  WriteFileAtomically(files, path, FormatMachine(record));
  Row("cores", fmt::format("{}", record.cores));
  Row("products", fmt::format("{:.1f} GFLOP/s of one core, {:.1f} of each where all compute",
                              record.alone.matrix_gflops, record.together.matrix_gflops));
  Row("copies", fmt::format("{:.1f} GB/s of one core, {:.1f} of each where all copy", record.alone.copy_gb_s,
                            record.together.copy_gb_s));
  Row("ops", fmt::format("{} were timed", record.ops.size()));
  Row("kept in", path);
  return 0;
}

int Doctor() {
  Row("lockstep", fmt::format("{}, build {}", Version(), BuildHash()));
  Row("host", HostName());
  Row("cpu", CpuModel());
  Cores();
  OpenMpVariables();
  const Isa isa = DetectIsa();
  Row("isa", Name(isa), isa == Isa::kGeneric ? "no AVX2: training will be slow" : "");
  Row("memory", fmt::format("{:.1f} GiB (machine or cgroup limit)", static_cast<double>(MemoryLimit()) / (1 << 30)));
  Row("oneDNN", OneDnnVersion());
  Mpi();
  Gpus();
  Row("energy", MakeRaplMeter() ? "of the processors, by RAPL"
                                : "the processors' counters (RAPL) can't be read: no watts in metrics on CPUs");
  SharedMemory();
  OpenFiles();
  const char* data = std::getenv("LOCKSTEP_DATA");
  Row("data", data == nullptr ? "LOCKSTEP_DATA is not set" : data,
      data == nullptr ? "export LOCKSTEP_DATA=FOLDER for recipes that name $LOCKSTEP_DATA" : "");
  return 0;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("doctor", "Say what this machine has, and what to do about it");
  struct Options {
    bool measure = false;
    std::string to;
  };
  auto options = std::make_shared<Options>();
  CLI::Option* measure = command->add_flag(
      "--measure", options->measure, "Time this machine's cores, in under a minute, so that plan can tell seconds");
  command->add_option("--to", options->to, "The file to keep that in (default: where plan of this host looks)")
      ->needs(measure);
  command->footer(
      "Examples:\n"
      "  lockstep doctor\n"
      "  lockstep doctor --measure\n"
      "  srun -N 1 -n 1 --exclusive lockstep doctor --measure --to node.json    (for lockstep plan --machine "
      "node.json)");
  command->callback([options, exit_code] {
    *exit_code = options->measure ? RunAlone([&] { return Measure(options->to); }) : Doctor();
  });
}

}  // namespace lockstep::launch

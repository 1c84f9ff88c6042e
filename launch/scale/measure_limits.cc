#include "launch/scale/measure_limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files/file.h"
#include "base/log.h"
#include "launch/scale/run_to_end.h"
#include "launch/supervise/launcher/hostfile.h"
#include "launch/supervise/launcher/limits.h"
#include "launch/supervise/launcher/own_program.h"
#include "launch/supervise/start_command.h"

namespace lockstep::launch {
namespace {

std::vector<std::string> CommandOf(const LimitsSetup& setup, const std::string& out) {
  const Launcher launcher = setup.launcher == "srun" ? Launcher::kSrun : Launcher::kMpirun;
  std::vector<Host> hosts = ReadHosts(setup.hosts, setup.hostfile);
  FillSlots(hosts, setup.ranks);
  Placement placement(hosts, setup.ranks, "true");
  if (!placement.ChooseFirst() || placement.ranks() < setup.ranks)
    throw Error(ErrorKind::kUsage, fmt::format("{} ranks don't fit into the hosts' slots", setup.ranks), "--hosts",
                "use fewer ranks, or give hosts more slots");
  const MpirunVersion mpirun = launcher == Launcher::kMpirun ? InstalledMpirun() : MpirunVersion{};
  if (launcher == Launcher::kMpirun) MakeRoomForRanks(mpirun, placement.ranks_here());
  std::vector<std::string> program{OwnProgram(), "measure-limits", "--out", out};
  if (setup.cores > 0) program.insert(program.end(), {"--cores", std::to_string(setup.cores)});
  return LaunchCommand(launcher, mpirun, placement, std::chrono::seconds(60), program);
}

}  // namespace

HostLimits MeasureLimits(const LimitsSetup& setup) {
  FileSystem& files = FileSystem::Real();
  const std::string out = setup.folder + "/limits.json", log = setup.folder + "/limits.log";
  files.RemoveAll(out);
  const std::string job = fmt::format("limits-{}", getpid());
  const int code = RunToEnd(CommandOf(setup, out), log, LauncherOptions(job).environment);
  if (code != 0 || !files.Exists(out)) {
    const std::string last = LastLine(ReadWholeFile(files, log));
    throw Error(ErrorKind::kUsage,
                fmt::format("the hosts' limits can't be measured: {}",
                            last.empty() ? fmt::format("it ended with {} and no word", code) : last),
                log);
  }
  const HostLimits limits = ParseHostLimits(ParseJsonObject(ReadWholeFile(files, out)));
  files.RemoveAll(out);  // the study keeps them
  files.RemoveAll(log);
  return limits;
}

void AddHostLimits(const LimitsSetup& setup, StudyFacts& facts) {
  LogNote("measuring what a rank's cores and the links between hosts can do");
  try {
    facts.hosts = MeasureLimits(setup);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    LogWarning("{}", error.what());
    facts.obstacles.push_back({error.message(), error.where()});
  }
  const auto keep_least = [&](const char* name, double value) {
    const auto [known, is_new] = facts.limits.emplace(name, value);
    if (!is_new) known->second = std::min(known->second, value);
  };
  for (const HostLimit& host : facts.hosts.hosts) {
    keep_least("matrix_gflops", host.matrix_gflops);
    keep_least("copy_gb_s", host.copy_gb_s);
  }
}

}  // namespace lockstep::launch

#include "launch/supervise/launcher/mpirun.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <regex>

#include "base/error.h"
#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {
namespace {

using Words = std::vector<std::string>;

void Append(Words& words, const Words& more) { words.insert(words.end(), more.begin(), more.end()); }

bool HasOtherHosts(const RankLaunch& launch) {
  return std::any_of(launch.hosts.begin(), launch.hosts.end(), [](const Host& host) { return !IsThisHost(host.name); });
}

std::string HostList(const std::vector<Host>& hosts, bool with_slots) {
  Words names;
  for (const Host& host : hosts)
    names.push_back(with_slots ? fmt::format("{}:{}", host.Address(), host.slots) : host.name);
  return fmt::format("{}", fmt::join(names, ","));
}

/// Open MPI counts cores as slots; whoever asks for more ranks on this machine means it.
bool MayExceedCores(const RankLaunch& launch) { return launch.hosts.empty() && !launch.in_allocation; }

void AppendExports(Words& words, const RankLaunch& launch) {
  for (const std::string& name : launch.exported) Append(words, {"-x", name});
}

/// By itself mpirun waits for ever for a host that is gone or cut off, and is deaf to SIGTERM meanwhile. With these
/// options it misses the host after a quarter to a third of the watchdog's timeout. It must not do so earlier: ranks
/// sit out a shorter cut, and TCP takes as long again to find out that the cut is over.
Words KeepAlive(std::chrono::seconds patience) {
  const std::string each = std::to_string(std::max<int64_t>(1, patience.count() / 12));
  return {"--mca", "oob_tcp_keepalive_time",   each, "--mca", "oob_tcp_keepalive_intvl", each,
          "--mca", "oob_tcp_keepalive_probes", "3"};
}

Words OpenMpi4(const RankLaunch& launch) {
  // Executors choose their cores. After a rank's death the others are killed at once, not after three seconds; that
  // mpirun killed them is no reason for a stack trace.
  Words words = {"--bind-to", "none", "--mca", "odls_base_sigkill_timeout", "0", "--mca", "orte_abort_print_stack",
                 "0"};
  if (MayExceedCores(launch)) words.push_back("--oversubscribe");
  if (!launch.hosts.empty()) Append(words, {"--host", HostList(launch.hosts, true)});
  if (HasOtherHosts(launch) || launch.in_allocation) Append(words, KeepAlive(launch.patience));
  if (!launch.agent.empty()) Append(words, {"--mca", "plm_rsh_agent", launch.agent});
  AppendExports(words, launch);
  return words;
}

Words OpenMpi5(const RankLaunch& launch) {
  Words words = {"--bind-to", "none", "--prtemca", "odls_base_sigkill_timeout", "0"};
  if (MayExceedCores(launch)) Append(words, {"--map-by", "slot:oversubscribe"});
  if (!launch.hosts.empty()) Append(words, {"--host", HostList(launch.hosts, true)});
  if (!launch.agent.empty()) Append(words, {"--prtemca", "plm_ssh_agent", launch.agent});
  AppendExports(words, launch);
  return words;
}

Words Hydra(const RankLaunch& launch) {
  return launch.hosts.empty() ? Words{} : Words{"-hosts", HostList(launch.hosts, true)};
}

}  // namespace

MpirunVersion ParseMpirunVersion(const std::string& printed) {
  static const std::regex open_mpi(R"(\(Open MPI\) (\d+)\.(\d+))");
  static const std::regex prrte(R"((?:PRRTE|prte)\D*(\d+)\.(\d+))");
  static const std::regex hydra(R"(HYDRA|Intel\(R\) MPI)");
  std::smatch found;
  if (std::regex_search(printed, found, open_mpi))
    return {MpirunVersion::kOpenMpi, std::stoi(found[1]), std::stoi(found[2])};
  // PRRTE by itself is Open MPI 5's launcher under its own name.
  if (std::regex_search(printed, found, prrte)) return {MpirunVersion::kOpenMpi, 5, 0};
  if (std::regex_search(printed, hydra)) return {MpirunVersion::kHydra, 0, 0};
  return {};
}

int ShellsCode(const MpirunVersion& version, int code) {
  if (version.kind != MpirunVersion::kHydra) return code;
  constexpr int kSignals[] = {SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGTERM};
  return std::find(std::begin(kSignals), std::end(kSignals), code) == std::end(kSignals) ? code : 128 + code;
}

MpirunVersion InstalledMpirun() {
  if (!IsOnPath("mpirun"))
    throw Error(ErrorKind::kUsage, "there is no mpirun", "PATH",
                "install Open MPI (Debian: openmpi-bin), load its module, or use --launcher srun");
  const Captured said = RunForOutput({"mpirun", "--version"}, std::chrono::seconds(20));
  if (said.code == 127) throw Error(ErrorKind::kUsage, said.errors, "mpirun --version");
  return ParseMpirunVersion(said.output + said.errors);
}

std::vector<std::string> MpirunCommand(const MpirunVersion& version, const RankLaunch& launch) {
  Words words = {"mpirun", "-n", std::to_string(launch.ranks)};
  if (version.kind == MpirunVersion::kOpenMpi && version.major == 4) Append(words, OpenMpi4(launch));
  if (version.kind == MpirunVersion::kOpenMpi && version.major >= 5) Append(words, OpenMpi5(launch));
  if (version.kind == MpirunVersion::kHydra) Append(words, Hydra(launch));
  Append(words, launch.program);
  return words;
}

std::vector<std::string> SrunCommand(const RankLaunch& launch) {
  // Without --kill-on-bad-exit the other ranks wait for one that died.
  Words words = {"srun", "--mpi=pmix", "--kill-on-bad-exit=1", "-n", std::to_string(launch.ranks)};
  if (!launch.hosts.empty()) Append(words, {"-w", HostList(launch.hosts, false)});
  Append(words, launch.program);
  return words;
}

}  // namespace lockstep::launch

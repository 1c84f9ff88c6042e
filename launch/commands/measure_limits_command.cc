// lockstep measure-limits: what `lockstep scale` starts on the ranks of a study to measure its hosts and their links.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/machine/cores.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/commands.h"
#include "launch/commands/errors.h"
#include "launch/scale/measure_links.h"

namespace lockstep::launch {
namespace {

constexpr double kSecondsOfALimit = 1;
constexpr auto kPatience = std::chrono::seconds(60);

int MeasureLimits(comm::Communicator& comm, const std::string& out, int cores) {
  comm.waiter().SetDeadline(kPatience);
  comm.waiter().SetCrowded(comm.topology().local_size() > QueryCores().usable);
  const HostLimits limits{.hosts = MeasureHosts(comm, cores, kSecondsOfALimit), .links = MeasureLinks(comm, {})};
  if (comm.rank() == 0) WriteFileAtomically(FileSystem::Real(), out, DumpJson(HostLimitsJson(limits), 2) + "\n");
  return 0;
}

}  // namespace

void AddMeasureLimitsCommand(CLI::App& app, int* exit_code) {
  struct Options {
    std::string out;
    int cores = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "measure-limits", "Measure what the ranks' hosts and the links between them can do (lockstep scale starts it)");
  command->group("");  // of no use by hand that scale hasn't
  command->add_option("--out", options->out, "The file that is written, JSON")->required();
  command->add_option("--cores", options->cores, "Cores of each rank (default: its share)")->check(WholeNumber(1));
  command->footer("Example:\n  mpirun -n 2 --host h1,h2 lockstep measure-limits --out limits.json");
  command->callback([options, exit_code] {
    *exit_code = RunRanks([&](comm::Communicator& comm) { return MeasureLimits(comm, options->out, options->cores); });
  });
}

}  // namespace lockstep::launch

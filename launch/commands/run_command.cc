// lockstep run: ranks under a supervisor.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/duration.h"
#include "base/error.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/standard_streams.h"
#include "launch/commands/train_arguments.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/hostfile.h"
#include "launch/supervise/supervisor.h"

namespace lockstep::launch {
namespace {

struct RunOptions {
  TrainArguments train;
  int ranks = 0;
  std::string hosts, hostfile, launcher = "mpirun";
  int max_restarts = -1;
  std::string stop_after;
};

/// The ranks of a job without -n: as many as the hosts or the batch system's allocation have room for, and at most
/// `lanes`.
int DefaultRanks(const std::vector<Host>& hosts, int lanes) {
  const char* tasks = std::getenv("SLURM_NTASKS");
  int ranks = tasks == nullptr ? 1 : std::atoi(tasks);
  if (!hosts.empty()) {
    ranks = 0;
    for (const Host& host : hosts) ranks += std::max(1, host.slots);
  }
  return std::clamp(ranks, 1, lanes);
}

SupervisedJob MakeSupervisedJob(const RunOptions& options) {
  Recipe recipe = ReadRecipe(options.train.recipe, options.train.settings);
  // The hosts of the job may have GPUs where this one has none; the ranks see for themselves.
  ResolveRecipe(recipe, {.any = true, .bf16 = true});
  SupervisedJob job;
  job.launcher = options.launcher == "srun" ? Launcher::kSrun : Launcher::kMpirun;
  const auto lanes = static_cast<int>(recipe.train().lanes());
  job.hosts = ReadHosts(options.hosts, options.hostfile);
  job.patience = std::chrono::seconds(recipe.watchdog().timeout_seconds());
  job.ranks = options.ranks > 0 ? options.ranks : DefaultRanks(job.hosts, lanes);
  if (job.ranks > lanes)
    throw Error(ErrorKind::kUsage, fmt::format("{} ranks are more than the {} lanes", job.ranks, lanes), "-n",
                fmt::format("use at most {} ranks, or raise train.lanes", lanes));
  FillSlots(job.hosts, job.ranks);
  if (!job.hosts.empty() && TotalSlots(job.hosts) < job.ranks)
    throw Error(ErrorKind::kUsage, fmt::format("{} ranks don't fit into {} slots", job.ranks, TotalSlots(job.hosts)),
                "-n", "use fewer ranks, or give hosts more slots");
  // One rank on this machine needs no launcher.
  if (job.launcher == Launcher::kMpirun && job.ranks == 1 && job.hosts.empty() && !IsOnPath("mpirun"))
    job.launcher = Launcher::kNone;
  job.folder = options.train.Folder(recipe.name());
  job.train = options.train.Words();
  job.plan = {options.train.recipe};
  for (const std::string& setting : options.train.settings) job.plan.insert(job.plan.end(), {"--set", setting});
  if (options.train.executors > 0)
    job.plan.insert(job.plan.end(), {"--executors", std::to_string(options.train.executors)});
  job.fresh = options.train.fresh;
  if (!options.stop_after.empty())
    job.stop_after = std::chrono::seconds(ParseDuration(options.stop_after, "--stop-after"));
  job.policy.max_restarts = options.max_restarts;
  // Where the time of a Slurm job is over, another start would have none either.
  job.policy.stop_is_callers = job.stop_after.has_value() || std::getenv("SLURM_JOB_ID") != nullptr;
  return job;
}

}  // namespace

void AddRunCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run", "Train on several ranks, and start again after failures, from the newest good checkpoint");
  command
      ->add_option("-n,--ranks", options->ranks, "Ranks (default: what hosts or the Slurm job have room for, else 1)")
      ->check(WholeNumber(1));
  auto* hosts = command->add_option("--hosts", options->hosts,
                                    "Hosts, with the ranks that fit: h1,h2:4 (default: this one, or the Slurm job's)");
  command->add_option("--hostfile", options->hostfile, "A file of hosts, as mpirun's")->excludes(hosts);
  command->add_option("--launcher", options->launcher, "mpirun or srun (default: mpirun)")
      ->check(OneOf({"mpirun", "srun"}));
  command
      ->add_option("--max-restarts", options->max_restarts, "Restarts in all (default: as long as there is progress)")
      ->check(WholeNumber(0));
  command->add_option("--stop-after", options->stop_after,
                      "Save and end with exit code 75 before this time is over: 90m, 12h, 1-00:00:00");
  options->train.AddTo(*command);
  command->footer(
      "Examples:\n"
      "  lockstep run -n 4 examples/mnist.textproto\n"
      "  lockstep run --hosts h1:8,h2:8 examples/mnist.textproto --out /shared/runs/mnist\n"
      "A killed rank, a lost host or a hang leads to a restart; bad input, data that can't be read and divergence end "
      "it with train's\n"
      "exit code. It gives up (6) when three starts in a row gained no step. SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and "
      "SIGHUP make "
      "it save and end\n"
      "with 75; a second SIGINT ends it at once. Hosts are reached by ssh, or by the program that LOCKSTEP_RSH_AGENT "
      "names.");
  command->callback([options, exit_code] {
    OutliveReaders();
    *exit_code = Supervise(MakeSupervisedJob(*options));
  });
}

}  // namespace lockstep::launch

// lockstep train: alone as one rank, or as one of many.
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.h"
#include "base/error.h"
#include "base/files/file.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "comm/agreement.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/errors.h"
#include "launch/job/gpu.h"
#include "launch/job/init_from.h"
#include "launch/job/job_setup.h"
#include "launch/job/ranks.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/slurm/slurm_end_time.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/records/run_folder.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/run/train.h"

namespace lockstep::launch {
namespace {

struct TrainOptions {
  std::string recipe, out, progress = "auto";
  std::vector<std::string> settings;
  bool fresh = false, accept_build = false, change_numerics = false;
  std::string change;
  int executors = 0;
  std::string stop_after, grace;  ///< durations
};

/// The end of this job's time, as the command line or Slurm says.
std::optional<run::StopClock::Clock::time_point> EndOfTime(const TrainOptions& options) {
  using run::StopClock;
  if (options.stop_after.empty()) return EndOfSlurmJob();
  return StopClock::Clock::now() + std::chrono::seconds(ParseDuration(options.stop_after, "--stop-after"));
}

std::string FolderOf(const TrainOptions& options, const std::string& name) {
  return std::filesystem::absolute(options.out.empty() ? "runs/" + name : options.out).lexically_normal().string();
}

/// Whether the run in the folder has gone on with other data than it began with.
bool HasOtherData(const std::string& folder) {
  const std::vector<std::string> changed = records::RunFolder(FileSystem::Real(), folder).ChangedSince(0);
  return std::ranges::any_of(changed, [](const std::string& line) { return line.starts_with("data.train:"); });
}

run::Outcome RunTrain(const TrainOptions& options, std::optional<run::StopClock::Clock::time_point> end,
                      comm::Communicator& comm) {
  run::Job job;
  run::Start start;
  // Every rank reads the recipe and the data by itself: where one of them can't, all end.
  comm::Together(comm, "the set-up", [&] {
    Recipe recipe = ReadRecipe(options.recipe, options.settings);
    const std::string folder = FolderOf(options, recipe.name());
    if (!options.fresh) KeepResolved(folder + "/recipe.textproto", recipe);
    if (!options.fresh && (options.change == "recipe" || HasOtherData(folder)))
      KeepForm(folder + "/recipe.textproto", recipe);
    ResolveRecipe(recipe, FactsOfGpus(recipe));
    const plan::InitialWeights initial = ResolveInitFrom(recipe);
    job = MakeJob(recipe, comm);
    job.model.initial_weights = initial;
    start.folder = folder;
  });
  start.read_identity = ReadIdentity;
  start.stop_before = end;
  if (!options.grace.empty()) start.grace_seconds = static_cast<double>(ParseDuration(options.grace, "--grace"));
  start.end_stuck = [](const Error& error) {
    PrintError(error);
    _exit(error.exit_code());
  };
  if (!job.place.device) job.place.executors = options.executors;
  start.fresh = options.fresh;
  start.accept_build = options.accept_build;
  start.change_numerics = options.change_numerics;
  start.change_recipe = options.change == "recipe";
  start.terminal = options.progress != "off" && OnTerminal();
  start.quiet = options.progress == "off";
  return run::Train(job, start);
}

/// The run is done and saved, whatever becomes of the line.
void PrintDoneLine(const std::string& line) {
  std::printf("%s\n", line.c_str());
  try {
    FlushStandardOutput();
  } catch (const Error& error) {
    LogWarning("{}; the run's done.json has the line that is lost", error.what());
  }
}

int Train(const TrainOptions& options) {
  const auto end = EndOfTime(options);
  InstallStopSignals(IsFirstProcess());
  return RunRanks([&](comm::Communicator& comm) {
    const run::Outcome outcome = RunTrain(options, end, comm);
    if (!outcome.line.empty()) PrintDoneLine(outcome.line);
    return outcome.exit_code;
  });
}

}  // namespace

void AddTrainCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command =
      app.add_subcommand("train", "Train a recipe: alone as one rank, under mpirun or srun as one of many");
  command->add_option("RECIPE", options->recipe, "The recipe, a protobuf text file (see lockstep help recipe)")
      ->required();
  command->add_option("--out", options->out, "Folder of the run (default: runs/NAME)");
  command
      ->add_option("--set", options->settings,
                   "PATH=VALUE: sets a field of the recipe, e.g. train.seed=2; may be given again")
      ->allow_extra_args(false);
  command->add_flag("--fresh", options->fresh, "Move an old run in the folder aside and start anew");
  command
      ->add_option("--executors", options->executors,
                   "Threads that run lanes, on each rank (default: its share of the cores)")
      ->check(WholeNumber(1));
  command
      ->add_option("--progress", options->progress,
                   "on or off (default: a bar on a terminal, else a line every few seconds)")
      ->check(OneOf({"on", "off", "auto"}));
  command->add_flag("--accept-build", options->accept_build,
                    "Continue a run that another build of lockstep began (recorded)");
  command->add_flag("--change-numerics", options->change_numerics,
                    "Let --set of train.device, precision, isa or lanes change a run that goes on (recorded)");
  command
      ->add_option(
          "--change", options->change,
          "recipe: let a run that goes on have another learning rate, schedule, length, batch or data (recorded)")
      ->check(OneOf({"recipe"}));
  command->add_option(
      "--stop-after", options->stop_after,
      "Save and end with exit code 75 before this time is over: 90m, 12h, 1-00:00:00 (default: the Slurm job's end)");
  command
      ->add_option("--grace", options->grace,
                   "What lies between a signal to stop and the end, to warn where a checkpoint takes longer: 30s, 2m")
      ->envname("LOCKSTEP_GRACE");
  command->footer(
      "Examples:\n"
      "  lockstep train examples/digits.textproto\n"
      "  mpirun -n 4 lockstep train examples/mnist.textproto --out runs/mnist-4\n"
      "  lockstep train examples/mnist.textproto --set train.seed=2 --set optimizer.learning_rate=1e-3 --fresh\n"
      "  lockstep train examples/mnist.textproto --set optimizer.learning_rate=1e-4 --change recipe   (a run that goes "
      "on)\n"
      "  lockstep train examples/mnist.textproto --set train.device=GPU --change-numerics   (a run that began on "
      "CPUs)\n"
      "SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and SIGHUP make it save and end with exit code 75. A run that was stopped or "
      "killed "
      "goes on from its\n"
      "newest checkpoint when it is started again, on any number of ranks.");
  command->callback([options, exit_code] { *exit_code = Train(*options); });
}

}  // namespace lockstep::launch

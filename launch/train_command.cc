#include "launch/train_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "launch/errors.h"
#include "launch/init_from.h"
#include "launch/job_setup.h"
#include "launch/ranks.h"
#include "launch/recipe.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/loop/agreement.h"
#include "trainer/loop/evaluate_checkpoint.h"
#include "trainer/loop/run_folder.h"
#include "trainer/loop/worker.h"

namespace lockstep::launch {
namespace {

struct TrainOptions {
  std::string recipe, out, progress = "auto";
  std::vector<std::string> settings;
  bool fresh = false, accept_build = false;
  int executors = 0;
};

std::string RunTrain(const TrainOptions& options, comm::Communicator& comm) {
  loop::Job job;
  // Every rank reads the recipe and the data by itself: where one of them can't, all end.
  loop::Together(comm, "the set-up", [&] {
    Recipe recipe = ReadRecipe(options.recipe, options.settings);
    ResolveRecipe(recipe);
    const loop::InitialWeights initial = ResolveInitFrom(recipe);
    job = MakeJob(recipe, comm);
    job.initial_weights = initial;
    job.folder = options.out.empty() ? "runs/" + recipe.name() : options.out;
    job.folder = std::filesystem::absolute(job.folder).lexically_normal().string();
  });
  job.executors = options.executors;
  job.fresh = options.fresh;
  job.accept_build = options.accept_build;
  job.terminal = options.progress != "off" && OnTerminal();
  job.quiet = options.progress == "off";
  return loop::Train(job);
}

int Train(const TrainOptions& options) {
  return RunRanks([&](comm::Communicator& comm) {
    const std::string line = RunTrain(options, comm);
    if (!line.empty()) std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return 0;
  });
}

struct EvalOptions {
  std::string path;
  std::vector<std::string> settings;
  int executors = 0;
};

/// The recipe of the run that `path` (a run folder, or a checkpoint in one) belongs to.
std::string RecipeOf(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  for (int level = 0; level < 3; ++level, folder = folder.parent_path())
    if (std::filesystem::exists(folder / "recipe.textproto")) return (folder / "recipe.textproto").string();
  throw Error(ErrorKind::kUsage, "there is no recipe.textproto in it or above it", path,
              "give a run's folder, or a checkpoint inside one");
}

int Eval(const EvalOptions& options) {
  return RunRanks([&](comm::Communicator& comm) {
    loop::Job job;
    loop::Together(comm, "the set-up", [&] {
      Recipe recipe = ReadRecipe(RecipeOf(options.path), options.settings);
      ResolveRecipe(recipe);
      job = MakeJob(recipe, comm);
    });
    job.executors = options.executors;
    const std::string line = loop::EvaluateCheckpoint(job, options.path);
    if (comm.rank() == 0) std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return 0;
  });
}

}  // namespace

void AddTrainCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Train a recipe: alone as one rank, under mpirun or srun as one of many");
  command->add_option("RECIPE", options->recipe, "The recipe, a protobuf text file (see lockstep help recipe)")->required();
  command->add_option("--out", options->out, "Folder of the run (default: runs/NAME)");
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe, e.g. train.seed=2; may be given again")
      ->allow_extra_args(false);
  command->add_flag("--fresh", options->fresh, "Move an old run in the folder aside and start anew");
  command->add_option("--executors", options->executors, "Threads that run lanes, on each rank (default: its share of the cores)")
      ->check(CLI::PositiveNumber);
  command->add_option("--progress", options->progress, "on or off (default: a bar on a terminal, else a line every few seconds)")
      ->check(CLI::IsMember({"on", "off", "auto"}));
  command->add_flag("--accept-build", options->accept_build, "Continue a run that another build of lockstep began (recorded)");
  command->footer(
      "Examples:\n"
      "  lockstep train examples/digits.textproto\n"
      "  mpirun -n 4 lockstep train examples/mnist.textproto --out runs/mnist-4\n"
      "  lockstep train examples/mnist.textproto --set train.seed=2 --set optimizer.learning_rate=1e-3 --fresh\n"
      "A run that was killed goes on from its newest checkpoint when it is started again, on any number of ranks.");
  command->callback([options, exit_code] { *exit_code = Train(*options); });
}

void AddEvalCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Evaluate a run's newest checkpoint, or a given one");
  command->add_option("PATH", options->path, "A run's folder, or a checkpoint inside one")->required();
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe, e.g. data.test.idx.images=FILE")
      ->allow_extra_args(false);
  command->add_option("--executors", options->executors, "Threads that evaluate, on each rank (default: 1)")->check(CLI::PositiveNumber);
  command->footer("Example:\n  lockstep eval runs/digits");
  command->callback([options, exit_code] { *exit_code = Eval(*options); });
}

}  // namespace lockstep::launch

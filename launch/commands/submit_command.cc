// lockstep submit: a Slurm job that saves and requeues itself.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/commands/train_arguments.h"
#include "launch/recipe/recipe.h"
#include "launch/scale/study.h"
#include "launch/slurm/sbatch_script.h"
#include "launch/slurm/slurm_options.h"
#include "launch/slurm/submit_job.h"

namespace lockstep::launch {
namespace {

struct SubmitOptions {
  TrainArguments train;
  SlurmOptions slurm;
  std::vector<std::string> varied;
};

std::string Absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

/// Each combination of the values is a job of an array, in a folder of its own.
void VaryJobs(SubmitOptions& options, JobScript& job) {
  if (options.varied.empty()) return;
  std::vector<Varied> varied;
  for (const std::string& text : options.varied) varied.push_back(ParseVaried(text));
  job.varied = CombinationsOf(varied);
  for (const std::vector<std::string>& settings : job.varied) {  // each of them is checked
    std::vector<std::string> all = options.train.settings;
    for (std::string& setting : all) setting = WithArrayNumber(setting, "1");
    all.insert(all.end(), settings.begin(), settings.end());
    ReadRecipe(options.train.recipe, all);
  }
  if (MakesArray(job.sbatch))
    throw Error(ErrorKind::kUsage, "it makes the array itself", "--vary", "leave out --array");
  job.sbatch.push_back(fmt::format("--array=0-{}", job.varied.size() - 1));
}

JobScript MakeScript(SubmitOptions options) {
  JobScript job = ScriptOf(options.slurm);
  VaryJobs(options, job);
  job.array = MakesArray(job.sbatch) || MakesArray({job.site.sbatch().begin(), job.site.sbatch().end()});
  std::vector<std::string> settings = options.train.settings;
  if (job.array)  // the recipe is checked as one job has it
    for (std::string& setting : settings) setting = WithArrayNumber(setting, "1");
  const Recipe recipe = ReadRecipe(options.train.recipe, settings);
  job.name = recipe.name();
  job.folder = options.train.Folder(recipe.name());
  if (!job.varied.empty() && job.folder.find("%a") == std::string::npos) job.folder += "-%a";
  options.train.recipe = Absolute(options.train.recipe);
  options.train.out = job.folder;
  options.train.grace.clear();  // the script sets it
  if (options.train.progress.empty()) options.train.progress = "auto";
  job.words = options.train.Words();
  return job;
}

int Submit(const SubmitOptions& options) {
  SubmitJob(MakeScript(options),
            {.fresh = options.train.fresh, .jobs = std::max(1, options.slurm.chain), .dry_run = options.slurm.dry_run});
  return 0;
}

}  // namespace

void AddSubmitCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* command =
      app.add_subcommand("submit", "Submit a Slurm job that saves and requeues itself before its time limit");
  options->train.AddTo(*command);
  AddSlurmOptions(*command, options->slurm)->required();
  command
      ->add_option("--vary", options->varied,
                   "FIELD=A,B,C: a job array, with a job and a run folder for each value; may be given again")
      ->allow_extra_args(false);
  command->footer(
      "Examples:\n"
      "  lockstep submit examples/mnist.textproto --nodes 2 --time 00:30:00\n"
      "  lockstep submit examples/mnist.textproto --time 12h --gpus-per-node 4 --dry-run -- --mail-type=FAIL\n"
      "  lockstep submit examples/mnist.textproto --time 1h --out runs/seed-%a --set train.seed=%a -- --array=1-4\n"
      "  lockstep submit examples/mnist.textproto --time 1h --vary optimizer.learning_rate=1e-4,3e-4,1e-3\n"
      "Words after -- go to sbatch. Account, partition, modules and the like that are the same for all jobs: lockstep "
      "help site.");
  command->callback([options, exit_code] { *exit_code = Submit(*options); });
}

}  // namespace lockstep::launch

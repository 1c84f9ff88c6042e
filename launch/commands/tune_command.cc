// lockstep tune: sweeps over fields of a recipe.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/json_fields.h"
#include "base/log.h"
#include "base/machine/cores.h"
#include "base/machine/host.h"
#include "base/stop_signals.h"
#include "comm/local/local_communicator.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/errors.h"
#include "launch/commands/typed_command.h"
#include "launch/job/job_setup.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/scale/measure_run.h"
#include "launch/scale/study_text.h"
#include "launch/slurm/slurm_options.h"
#include "launch/slurm/submit_job.h"
#include "launch/tune/run_sweep.h"
#include "launch/tune/sweep_report.h"

namespace lockstep::launch {
namespace {

struct TuneOptions {
  std::string recipe, out, search = "random", stop, measure, launcher = "mpirun";
  std::vector<std::string> over, settings;
  int trials = 20, parallel = 0, ranks = 1, points = 4, eta = 3, seeds = 0, best = 3, generation = 8;
  uint64_t first_rung = 0, seed = 0;
  std::string command;
  bool submit = false;
  SlurmOptions slurm;
};

SearchKind SearchOf(const std::string& name) {
  for (const SearchKind kind : {SearchKind::kGrid, SearchKind::kTpe})
    if (name == Name(kind)) return kind;
  return SearchKind::kRandom;
}

/// What the recipe's own words decide of the sweep: what is measured, on which split, in how many steps.
void AddJob(const TuneOptions& options, SweepRequest& request) {
  std::vector<std::string> settings = options.settings;
  // A first trial tells of wrong fields and values before anything is started.
  for (const std::string& setting : SettingsAt(request.space, Units(request.space.size(), 0.5)))
    settings.push_back(setting);
  Recipe recipe = ReadRecipe(options.recipe, settings);
  ResolveRecipe(recipe, {.any = true, .bf16 = true});
  recipe.mutable_train()->set_device(plan::Device::CPU);
  const auto world = comm::MakeLocalWorld({});
  const run::Job job = MakeJob(recipe, *world.front(), nullptr);
  request.total_steps = job.splits.length.total_steps;
  request.split = job.splits.validation ? "validation" : "test";
  if (!job.splits.validation && !job.splits.test)
    throw Error(ErrorKind::kUsage, "there is nothing to compare trials by", "data.validation",
                "name data.validation or data.test, or set data { split { validation: 0.1 } }");
  if (!job.splits.validation)
    LogWarning("trials are compared by the test split: their best value is too good; name data.validation");
  const bool classes = job.model.task == metrics::Task::kClassification;
  request.measure = !options.measure.empty() ? options.measure : classes ? "accuracy" : "loss";
  request.falls = ParseTarget(request.measure + "=0").falls;
}

SweepRequest RequestOf(const TuneOptions& options) {
  SweepRequest request{.search = SearchOf(options.search)};
  for (const std::string& over : options.over) request.space.push_back(ParseOver(over));
  if (request.space.empty())
    throw Error(ErrorKind::kUsage, "is required", "--over",
                "for example --over 'optimizer.learning_rate=log(1e-4,1e-1)'");
  request.trials = options.trials;
  request.points = options.points;
  request.generation = options.generation;
  request.seed = options.seed;
  request.best = options.best;
  request.seeds = options.seeds;
  AddJob(options, request);
  if (options.stop == "asha") {
    request.eta = options.eta;
    constexpr double rungs = 2;
    const uint64_t own = static_cast<uint64_t>(static_cast<double>(request.total_steps) / std::pow(options.eta, rungs));
    request.first_rung = options.first_rung > 0 ? options.first_rung : std::max<uint64_t>(1, own);
    if (request.first_rung >= request.total_steps)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("step {} is not before the end of a trial, {} steps", request.first_rung, request.total_steps),
          "--first-rung", "name an earlier step");
  }
  return request;
}

/// A sweep in the folder goes on if it is this one.
void TakeFolder(const std::string& folder, const std::string& command) {
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(folder);
  const std::string path = folder + "/sweep.json";
  const std::string text =
      DumpJson(Json{{"version", 1}, {"command", command}, {"build", std::string(BuildHash())}}, 2) + "\n";
  if (!files.Exists(path)) return WriteFileAtomically(files, path, text);
  if (ReadWholeFile(files, path) != text)
    throw Error(ErrorKind::kUsage, "it holds another sweep, or one of another build", folder, "give another --out");
  LogNote("going on with the sweep in {}", folder);
}

std::string FolderOf(const TuneOptions& options, const Recipe& recipe) {
  return std::filesystem::absolute(options.out.empty() ? "sweeps/" + recipe.name() : options.out)
      .lexically_normal()
      .string();
}

/// Checks what can be checked without the data, which this machine may not have.
int SubmitSweep(const TuneOptions& options, const CLI::App& command) {
  const Recipe recipe = ReadRecipe(options.recipe, options.settings);
  std::vector<std::string> settings = options.settings;
  for (const std::string& over : options.over) {
    const std::vector<std::string> tried = SettingsAt({ParseOver(over)}, {0.5});
    settings.insert(settings.end(), tried.begin(), tried.end());
  }
  ReadRecipe(options.recipe, settings);
  JobScript job = ScriptOf(options.slurm);
  job.work = JobWork::kSweep;
  // As many trials side by side as the job has room for.
  const int room = job.nodes * job.ranks_per_node / options.ranks;
  const int parallel = options.parallel > 0 ? options.parallel : std::max(1, room);
  job.words = WordsForJob(command, {"--launcher", "--parallel"});
  job.words.insert(job.words.end(), {"--parallel", std::to_string(parallel)});
  const std::string folder = FolderOf(options, recipe);
  DealStudy(recipe.name(), folder, parallel * options.ranks, options.slurm.ranks_per_node > 0, job);
  if (const std::string path = folder + "/sweep.json"; FileSystem::Real().Exists(path)) {
    const std::string held = TextOr(ParseJsonObject(ReadWholeFile(FileSystem::Real(), path)), "command");
    if (held != TypedInJob(job))
      throw Error(ErrorKind::kUsage, "it holds another sweep: " + held, folder, "give another --out");
  }
  SubmitJob(job, {.jobs = std::max(1, options.slurm.chain),
                  .then = "the report will be in " + folder + "/report.html",
                  .dry_run = options.slurm.dry_run});
  return 0;
}

int Tune(const TuneOptions& options) {
  InstallStopSignals(true);
  const Recipe recipe = ReadRecipe(options.recipe, options.settings);
  const SweepRequest request = RequestOf(options);
  SweepSetup setup;
  setup.folder = FolderOf(options, recipe);
  setup.recipe = std::filesystem::absolute(options.recipe).lexically_normal().string();
  setup.settings = options.settings;
  setup.launcher = {"--launcher", options.launcher};
  setup.ranks = options.ranks;
  const CoreBudget budget = QueryCores();
  setup.parallel = options.parallel > 0 ? options.parallel : std::max(1, budget.usable / options.ranks);
  setup.executors = std::max(1, budget.usable / (setup.parallel * options.ranks));
  // A task of a job has as many, wherever it runs.
  if (options.launcher == "srun" && budget.slurm > 0) setup.executors = budget.slurm;
  TakeFolder(setup.folder, options.command);
  PollStopSignals();
  std::printf("%d trials of %llu steps, %d at a time, compared by %s %s, in %s\n", TrialCount(request),
              static_cast<unsigned long long>(request.total_steps), setup.parallel, request.split.c_str(),
              request.measure.c_str(), setup.folder.c_str());
  const std::vector<Trial> trials = RunSweep(request, setup, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  const SweepFacts facts{recipe.name(), options.command, std::string(BuildHash()), HostName(), request};
  WriteFileAtomically(FileSystem::Real(), setup.folder + "/report.html", SweepPage(facts, trials));
  constexpr size_t kShown = 5;
  std::printf("\n%s\n", AlignedTable(BestTable(facts, trials, kShown)).c_str());
  for (const std::string& finding : SweepFindings(facts, trials)) std::printf("%s\n", finding.c_str());
  std::printf("\n%s/report.html (and trials.jsonl, decisions.jsonl)\n", setup.folder.c_str());
  return Ranking(request, trials).empty() ? ExitCodeOf(ErrorKind::kDiverged) : 0;
}

}  // namespace

void AddTuneCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<TuneOptions>();
  CLI::App* command = app.add_subcommand("tune", "Try values of a recipe's fields, and find the best");
  command->add_option("RECIPE", options->recipe, "The recipe")->required();
  command
      ->add_option("--over", options->over,
                   "FIELD=VALUES: a,b,c, log(1e-4,1e-1), uniform(0,0.5) or whole(16,256); may be given again")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  command
      ->add_option("--search", options->search,
                   "random (default), grid: all combinations, or tpe: by what earlier trials came to")
      ->check(OneOf({"random", "grid", "tpe"}));
  command->add_option("--trials", options->trials, "Trials of random and tpe (default: 20)")->check(WholeNumber(1));
  command->add_option("--points", options->points, "Values of a range in a grid (default: 4)")->check(WholeNumber(1));
  command
      ->add_option("--generation", options->generation,
                   "Trials that tpe suggests by the same results, and so may run side by side (default: 8)")
      ->check(WholeNumber(1));
  command->add_option("--stop", options->stop, "asha: trials that are behind are stopped early")
      ->check(OneOf({"asha"}));
  command->add_option("--eta", options->eta, "Of asha: one of so many goes on at each rung (default: 3)")
      ->check(WholeNumber(2));
  command->add_option("--first-rung", options->first_rung,
                      "Of asha: the step of the first rung (default: total / eta^2)");
  command->add_option("--measure", options->measure, "What trials are compared by (default: accuracy, or loss)");
  command->add_option("--best", options->best, "So many of the best are run with other seeds (default: 3)")
      ->check(WholeNumber(1));
  command->add_option("--seeds", options->seeds, "With so many other seeds (default: 0)")->check(WholeNumber(0));
  command->add_option("--parallel", options->parallel, "Trials side by side (default: as many as there are cores)")
      ->check(WholeNumber(1));
  command->add_option("-n,--ranks", options->ranks, "Ranks of each trial (default: 1)")->check(WholeNumber(1));
  command
      ->add_option("--launcher", options->launcher, "mpirun or srun, for steps of a Slurm allocation (default: mpirun)")
      ->check(OneOf({"mpirun", "srun"}));
  command->add_option("--seed", options->seed, "Draws the trials (default: 0)");
  command->add_option("--out", options->out, "Folder of the sweep (default: sweeps/NAME)");
  AddSlurmFlag(*command, options->slurm, options->submit);
  command->footer(
      "Examples:\n"
      "  lockstep tune examples/digits.textproto --over 'optimizer.learning_rate=log(1e-4,1e-1)' --trials 12\n"
      "  lockstep tune r.textproto --over 'optimizer.learning_rate=log(1e-4,1e-1)' --over model.mlp.dropout=0,0.1,0.3 "
      "--search tpe --stop asha --seeds 2\n"
      "  lockstep tune r.textproto --over 'optimizer.learning_rate=log(1e-4,1e-1)' --parallel 4 --slurm --time 2h\n"
      "The same command gives the same trials and the same best one, at any --parallel and however often it was "
      "stopped: "
      "every decision follows from the seed and from results.");
  command->callback([options, command, exit_code] {
    options->command = TypedCommand();
    *exit_code = RunAlone([&] { return options->submit ? SubmitSweep(*options, *command) : Tune(*options); });
  });
}

}  // namespace lockstep::launch

// lockstep submit: a Slurm job that saves and requeues itself.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/json_fields.h"
#include "base/terminal.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/train_arguments.h"
#include "launch/recipe/recipe.h"
#include "launch/scale/study.h"
#include "launch/slurm/sbatch_script.h"
#include "launch/slurm/site_config.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/own_program.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

constexpr auto kSbatchLimit = std::chrono::seconds(60);

struct SubmitOptions {
  TrainArguments train;
  int nodes = 1, ranks_per_node = 0, cpus_per_rank = 0, gpus_per_node = 0, chain = 0;
  std::string time, partition;
  std::vector<std::string> sbatch, varied;
  bool dry_run = false;
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
  JobScript job;
  job.site = ReadSite();
  job.sbatch = options.sbatch;
  VaryJobs(options, job);
  job.array = MakesArray(job.sbatch) || MakesArray({job.site.sbatch().begin(), job.site.sbatch().end()});
  std::vector<std::string> settings = options.train.settings;
  if (job.array)  // the recipe is checked as one job has it
    for (std::string& setting : settings) setting = WithArrayNumber(setting, "1");
  const Recipe recipe = ReadRecipe(options.train.recipe, settings);
  job.name = recipe.name();
  job.program = OwnProgram();
  job.folder = options.train.Folder(recipe.name());
  if (!job.varied.empty() && job.folder.find("%a") == std::string::npos) job.folder += "-%a";
  job.directory = std::filesystem::current_path().string();
  job.nodes = options.nodes;
  job.ranks_per_node = options.ranks_per_node > 0 ? options.ranks_per_node : std::max(1, options.gpus_per_node);
  job.cpus_per_rank = options.cpus_per_rank;
  job.gpus_per_node = options.gpus_per_node;
  job.seconds = ParseDuration(options.time, "--time");
  job.partition = options.partition;
  job.chain = options.chain > 0;
  if (job.seconds <= 2 * static_cast<int64_t>(job.site.grace_seconds()))
    job.site.set_grace_seconds(static_cast<uint32_t>(std::max<int64_t>(1, job.seconds / 4)));
  options.train.recipe = Absolute(options.train.recipe);
  options.train.out = job.folder;
  options.train.grace.clear();  // the script sets it
  if (options.train.progress.empty()) options.train.progress = "auto";
  job.train = options.train.Words();
  return job;
}

/// Submits the script, to run after job `after` where that is given, and returns the new job's number. Throws
/// Error(kUsage) with what sbatch says.
std::string Sbatch(const std::string& script, const std::string& after) {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  if (!after.empty()) words.push_back("--dependency=afterany:" + after);
  words.push_back(script);
  const Captured said = RunForOutput(words, kSbatchLimit);
  if (said.code != 0) {
    std::string reason = said.errors.empty() ? said.output : said.errors;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    throw Error(ErrorKind::kUsage, fmt::format("sbatch refused it: {}", reason), "submit",
                said.code == 127
                    ? "submit from a machine that has Slurm's commands, or look at the script with --dry-run"
                    : "lockstep submit --dry-run shows the script");
  }
  return said.output.substr(0, said.output.find_first_of(";\n"));
}

/// A run's folder with a script in it. Where Slurm takes no job, Undo makes the folder what it was.
class PreparedFolder {
 public:
  PreparedFolder(const std::string& folder, bool fresh, const std::string& script)
      : folder_(folder), script_(folder + "/job.sbatch") {
    if (fresh) aside_ = records::RunFolder(files_, folder).MoveAside();
    for (const std::string& needed : {folder, folder + "/logs"}) {
      if (files_.Exists(needed)) continue;
      files_.CreateFolders(needed);
      made_.push_back(needed);
    }
    // What earlier jobs left must be gone before a new one can look at it.
    for (const char* old : {"/job.ended", "/job.without-progress"}) files_.RemoveAll(folder + old);
    if (files_.Exists(script_)) old_script_ = ReadWholeFile(files_, script_);
    WriteFileAtomically(files_, script_, script);
  }

  const std::string& script() const { return script_; }

  void Keep(const std::vector<std::string>& ids) {
    WriteFileAtomically(files_, folder_ + "/job.json",
                        DumpJson(Json{{"slurm_jobs", ids}, {"time", std::time(nullptr)}}) + "\n");
    if (!aside_.empty()) PrintLine("note: the old run is in " + aside_ + " now");
  }

  void Undo() {
    if (old_script_)
      WriteFileAtomically(files_, script_, *old_script_);
    else
      files_.RemoveAll(script_);
    std::error_code in_use;  // a folder that somebody else uses by now stays
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) std::filesystem::remove(*made, in_use);
    if (!aside_.empty() && !files_.Exists(folder_)) files_.Rename(aside_, folder_);
  }

 private:
  FileSystem& files_ = FileSystem::Real();
  const std::string folder_, script_;
  std::string aside_;
  std::optional<std::string> old_script_;
  std::vector<std::string> made_;
};

int Submit(const SubmitOptions& options) {
  const JobScript job = MakeScript(options);
  const std::string text = FormatScript(job);
  if (options.dry_run) {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  PreparedFolder folder(ScriptFolder(job), options.train.fresh, text);
  const int jobs = std::max(1, options.chain);
  std::vector<std::string> ids;
  std::optional<Error> refusal;
  try {
    while (static_cast<int>(ids.size()) < jobs) ids.push_back(Sbatch(folder.script(), ids.empty() ? "" : ids.back()));
  } catch (const Error& error) {
    refusal = error;
  }
  if (ids.empty()) {
    folder.Undo();
    throw *refusal;
  }
  folder.Keep(ids);
  for (const std::string& id : ids) std::printf("submitted job %s (%s)\n", id.c_str(), folder.script().c_str());
  if (!refusal) return 0;
  throw Error(refusal->kind(), fmt::format("only {} of {} jobs: {}", ids.size(), jobs, refusal->message()),
              refusal->where(), "the others run; the run goes on after them when it is submitted again");
}

}  // namespace

void AddSubmitCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<SubmitOptions>();
  CLI::App* command =
      app.add_subcommand("submit", "Submit a Slurm job that saves and requeues itself before its time limit");
  options->train.AddTo(*command);
  command->add_option("--nodes", options->nodes, "Nodes (default: 1)")->check(WholeNumber(1));
  command->add_option("--time", options->time, "Time limit of one start: 30m, 12h, 00:30:00, 1-00:00:00")->required();
  command->add_option("--partition", options->partition, "Partition (default: the site's)");
  command->add_option("--ranks-per-node", options->ranks_per_node, "Ranks on each node (default: one a GPU, else 1)")
      ->check(WholeNumber(1));
  command->add_option("--cpus-per-rank", options->cpus_per_rank, "Cores of each rank (default: Slurm's)")
      ->check(WholeNumber(1));
  command->add_option("--gpus-per-node", options->gpus_per_node, "GPUs on each node")->check(WholeNumber(1));
  command->add_option("--chain", options->chain, "So many jobs, each after the other, where Slurm may not requeue")
      ->check(WholeNumber(1));
  command
      ->add_option("--vary", options->varied,
                   "FIELD=A,B,C: a job array, with a job and a run folder for each value; may be given again")
      ->allow_extra_args(false);
  command->add_flag("--dry-run", options->dry_run, "Print the script and submit nothing");
  command->add_option("OPTIONS", options->sbatch, "After --: options for sbatch, each one word");
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

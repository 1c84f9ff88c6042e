// lockstep scale: a scaling study in one command, and the comparison of two.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/log.h"
#include "base/machine/cpu_info.h"
#include "base/machine/host.h"
#include "base/stop_signals.h"
#include "comm/local/local_communicator.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/errors.h"
#include "launch/commands/typed_command.h"
#include "launch/job/gpu.h"
#include "launch/job/job_setup.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "launch/scale/compare_studies.h"
#include "launch/scale/limits_text.h"
#include "launch/scale/machine_limits.h"
#include "launch/scale/measure_limits.h"
#include "launch/scale/preflight.h"
#include "launch/scale/run_study.h"
#include "launch/scale/study_page.h"
#include "launch/scale/study_text.h"
#include "launch/slurm/slurm_options.h"
#include "launch/slurm/submit_job.h"
#include "trainer/plan/job_plans.h"

namespace lockstep::launch {
namespace {

constexpr double kSecondsOfARun = 5, kSecondsOfALimit = 1;

struct ScaleOptions {
  std::string recipe, out, ranks = "1,2", mode = "strong", batches, rate_rule, against, target, hosts, hostfile,
                           base_lanes = "auto", launcher = "mpirun";
  std::vector<std::string> settings, varied, compare;
  int repeats = 5, executors = 0;
  uint64_t steps = 0, seed = 0;
  bool anyway = false, keep = false;
  std::string command;  ///< as it was typed
  bool submit = false;
  SlurmOptions slurm;
};

StudyMode ModeOf(const std::string& name) {
  for (const StudyMode mode : {StudyMode::kWeak, StudyMode::kThroughput})
    if (name == Name(mode)) return mode;
  return StudyMode::kStrong;
}

/// In weak studies the rate grows as the batch, unless it is said otherwise.
RateRule RuleOf(const ScaleOptions& options) {
  for (const RateRule rule : {RateRule::kNone, RateRule::kLinear, RateRule::kSquareRoot})
    if (options.rate_rule == Name(rule)) return rule;
  return ModeOf(options.mode) == StudyMode::kStrong ? RateRule::kNone : RateRule::kLinear;
}

StudyRequest RequestOf(const ScaleOptions& options) {
  StudyRequest request{
      .mode = ModeOf(options.mode), .ranks = ParseCounts(options.ranks, "--ranks"), .rate = RuleOf(options)};
  if (!options.batches.empty())
    for (const int batch : ParseCounts(options.batches, "--batches"))
      request.batches.push_back(static_cast<uint64_t>(batch));
  for (const std::string& varied : options.varied) request.varied.push_back(ParseVaried(varied));
  request.against = options.against;
  request.repeats = options.repeats;
  request.steps = options.steps;
  request.seed = options.seed;
  request.executors = options.executors;
  return request;
}

/// Lanes that one rank may be faster with: what divides the batch, up to 16.
std::vector<int> OtherLanes(const Recipe& recipe) {
  std::vector<int> lanes;
  for (const uint32_t count : {1u, 2u, 4u, 8u, 16u})
    if (recipe.train().global_batch() > 0 && recipe.train().global_batch() % count == 0 &&
        count != recipe.train().lanes())
      lanes.push_back(static_cast<int>(count));
  return lanes;
}

RunSetup SetupOf(const ScaleOptions& options, const std::string& folder) {
  RunSetup setup{.folder = folder,
                 .recipe = std::filesystem::absolute(options.recipe).lexically_normal().string(),
                 .settings = options.settings};
  if (!options.hosts.empty()) setup.launcher = {"--hosts", options.hosts};
  if (!options.hostfile.empty()) setup.launcher = {"--hostfile", options.hostfile};
  setup.launcher.insert(setup.launcher.end(), {"--launcher", options.launcher});
  setup.executors = options.executors;
  setup.steps = options.steps;
  setup.target = options.target;
  setup.keep = options.keep;
  return setup;
}

/// Whether ranks compute on this machine and no other: mpirun in an allocation of several nodes takes all of them.
bool OnThisMachine(const ScaleOptions& options) {
  const char* const nodes = std::getenv("SLURM_JOB_NUM_NODES");
  return options.hosts.empty() && options.hostfile.empty() && options.launcher == "mpirun" &&
         (nodes == nullptr || std::atoi(nodes) <= 1);
}

/// Refuses to measure what would mislead, or, with --anyway, says so.
std::vector<Obstacle> Preflight(const ScaleOptions& options, const StudyRequest& request, MachineView& view) {
  view = LookAtMachine(std::chrono::milliseconds(500));
  if (!OnThisMachine(options)) return {};
  const std::vector<Obstacle> obstacles =
      ObstaclesOf(view, std::ranges::max(request.ranks), std::max(1, options.executors));
  for (const Obstacle& obstacle : obstacles) LogWarning("{} ({})", obstacle.what, obstacle.remedy);
  if (!obstacles.empty() && !options.anyway)
    throw Error(ErrorKind::kUsage, "what is measured here would mislead", "lockstep scale",
                "mend what is named above, or go on with --anyway, which the report then says on its first page");
  return obstacles;
}

/// Adds what the recipe comes to, of its program, and the cores of a rank: as many at every point, or one rank would
/// have the cores of all, and more ranks would add nothing.
void AddWork(const ScaleOptions& options, const MachineView& view, StudyFacts& facts) {
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  ResolveRecipe(recipe, FactsOfGpus(recipe));
  if (recipe.train().device() != plan::Device::CPU) return;
  if (facts.request.executors == 0 && OnThisMachine(options))
    facts.request.executors = std::max(1, view.cores.usable / std::ranges::max(facts.request.ranks));
  const auto world = comm::MakeLocalWorld({});
  const run::Job job = MakeJob(recipe, *world.front(), nullptr);
  const plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, 1);
  facts.parameters = static_cast<double>(plans.layout.parameter_count());
  facts.samples_per_epoch = static_cast<double>(job.splits.train->size());
  if (plans.train.size() == 1)
    facts.flops_per_sample = plans.train.back()->flops / static_cast<double>(job.splits.batches->shapes().back().rows);
}

void AddLimits(const ScaleOptions& options, const MachineView& view, const std::string& folder, StudyFacts& facts) {
  if (const int ranks = std::ranges::max(facts.request.ranks); ranks > 1 || !OnThisMachine(options))
    AddHostLimits({.folder = folder,
                   .hosts = options.hosts,
                   .hostfile = options.hostfile,
                   .launcher = options.launcher,
                   .ranks = ranks,
                   .cores = facts.request.executors},
                  facts);
  if (!facts.limits.empty() || !OnThisMachine(options)) return;
  LogNote("measuring what a rank's cores can do");
  const int cores = facts.request.executors > 0 ? facts.request.executors : view.cores.usable;
  facts.limits["matrix_gflops"] = MeasureMatrixRate(cores, kSecondsOfALimit);
  facts.limits["copy_gb_s"] = MeasureCopyRate(cores, kSecondsOfALimit);
}

/// The lanes with which one rank is fastest, or those that were said; none where no point of the study is one rank.
std::vector<int> BaseLanes(const ScaleOptions& options, const Recipe& recipe, const StudyFacts& facts, RunSetup setup) {
  if (options.base_lanes == "none" || facts.request.mode != StudyMode::kStrong || facts.request.ranks.front() != 1)
    return {};
  if (options.base_lanes != "auto") return ParseCounts(options.base_lanes, "--base-lanes");
  const std::vector<int> candidates = OtherLanes(recipe);
  if (candidates.empty()) return {};
  LogNote("looking for the lanes with which one rank is fastest");
  setup.steps = facts.request.steps;
  const int fastest = FastestLanes(candidates, facts.points.front(), setup);
  return fastest > 0 ? std::vector<int>{fastest} : std::vector<int>{};
}

StudyFacts NewStudy(const ScaleOptions& options, RunSetup& setup, MachineView& view) {
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  ResolveRecipe(recipe, {.any = true, .bf16 = true});
  StudyFacts facts{
      .recipe = setup.recipe, .settings = options.settings, .name = recipe.name(), .command = options.command};
  facts.request = RequestOf(options);
  facts.target = options.target;
  if (!options.target.empty()) ParseTarget(options.target);
  facts.build = std::string(BuildHash());
  facts.host = HostName();
  facts.cpu = CpuModel();
  facts.points = PointsOf(facts.request, recipe);  // before anything is started
  facts.obstacles = Preflight(options, facts.request, view);
  AddWork(options, view, facts);
  setup.executors = facts.request.executors;
  if (setup.executors == 0 && facts.request.against.find("{executors}") != std::string::npos)
    throw Error(ErrorKind::kUsage, "{executors} is not known: ranks take what cores their hosts give", "--against",
                "say --executors");
  FileSystem::Real().CreateFolders(setup.folder);
  AddLimits(options, view, setup.folder, facts);
  if (facts.request.steps == 0 && options.target.empty()) {
    LogNote("a first run tells how many steps take {} s", kSecondsOfARun);
    facts.request.steps = StepsFor(facts.points.front(), setup, kSecondsOfARun);
  }
  facts.request.base_lanes = BaseLanes(options, recipe, facts, setup);
  facts.points = PointsOf(facts.request, recipe);
  WriteFileAtomically(FileSystem::Real(), setup.folder + "/study.json", FormatFacts(facts));
  return facts;
}

/// A study that was stopped goes on; another one is refused.
StudyFacts TakeUp(const ScaleOptions& options, RunSetup& setup, MachineView& view) {
  if (!FileSystem::Real().Exists(setup.folder + "/study.json")) return NewStudy(options, setup, view);
  StudyFacts facts = ReadFacts(setup.folder);
  if (facts.command != options.command || facts.build != std::string(BuildHash()))
    throw Error(ErrorKind::kUsage,
                facts.command != options.command ? "it holds another study: " + facts.command
                                                 : "another build of lockstep began it: " + facts.build,
                setup.folder, "give another --out");
  LogNote("going on with the study in {}", setup.folder);
  Preflight(options, facts.request, view);
  return facts;
}

void WriteReports(const StudyFacts& facts, const std::vector<RunResult>& results, const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  const StudySummary summary = Summarize(facts, results);
  const auto write = [&](const char* name, const std::string& text) {
    WriteFileAtomically(files, folder + "/" + name, text);
  };
  write("report.html", StudyPage(facts, summary, ReadWholeFile(files, facts.recipe)));
  write("report.md", MarkdownReport(facts, summary));
  write("report.json", JsonReport(facts, summary));
  write("points.csv", RunsCsv(facts, results));
  write("extrap.txt", ExtraPText(facts, summary));
  std::printf("\n%s\n", AlignedTable(PointTable(facts, summary)).c_str());
  if (const TextTable peer = PeerTable(summary); !peer.rows.empty()) std::printf("%s\n", AlignedTable(peer).c_str());
  for (const TextTable& table : {HostTable(facts.hosts), LinkTable(facts, summary)})
    if (!table.rows.empty()) std::printf("%s\n", AlignedTable(table).c_str());
  for (const std::string& finding : Findings(facts, summary)) std::printf("%s\n", finding.c_str());
  std::printf("\n%s/report.html (and report.md, report.json, points.csv, extrap.txt)\n", folder.c_str());
}

std::string FolderOf(const ScaleOptions& options, const Recipe& recipe) {
  return std::filesystem::absolute(options.out.empty() ? "studies/" + recipe.name() : options.out)
      .lexically_normal()
      .string();
}

/// What would be wrong in the job is said here.
int SubmitStudy(const ScaleOptions& options, const CLI::App& command) {
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  ResolveRecipe(recipe, {.any = true, .bf16 = true});
  const StudyRequest request = RequestOf(options);
  PointsOf(request, recipe);
  if (!options.target.empty()) ParseTarget(options.target);
  JobScript job = ScriptOf(options.slurm);
  job.work = JobWork::kStudy;
  job.words = WordsForJob(command, {"--launcher"});
  const std::string folder = FolderOf(options, recipe);
  DealStudy(recipe.name(), folder, std::ranges::max(request.ranks), options.slurm.ranks_per_node > 0, job);
  if (FileSystem::Real().Exists(folder + "/study.json") && ReadFacts(folder).command != TypedInJob(job))
    throw Error(ErrorKind::kUsage, "it holds another study: " + ReadFacts(folder).command, folder,
                "give another --out");
  SubmitJob(job, {.jobs = std::max(1, options.slurm.chain),
                  .then = "the report will be in " + folder + "/report.html",
                  .dry_run = options.slurm.dry_run});
  return 0;
}

int Scale(const ScaleOptions& options) {
  InstallStopSignals(true);
  Recipe recipe = ReadRecipe(options.recipe, options.settings);
  const std::string folder = FolderOf(options, recipe);
  RunSetup setup = SetupOf(options, folder);
  MachineView before;
  PollStopSignals();
  StudyFacts facts = TakeUp(options, setup, before);
  setup.steps = facts.request.steps;
  setup.executors = facts.request.executors;
  std::printf("%s\n%zu points, %d runs each of %llu steps, in %s\n", ModeSentence(facts).c_str(), facts.points.size(),
              facts.request.repeats, static_cast<unsigned long long>(facts.request.steps), folder.c_str());
  const std::vector<RunResult> results = RunStudy(facts, setup, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  if (OnThisMachine(options)) {
    const MachineView after = LookAtMachine(std::chrono::milliseconds(0));
    for (const Obstacle& obstacle : ObstaclesBetween(before, after)) facts.obstacles.push_back(obstacle);
    WriteFileAtomically(FileSystem::Real(), folder + "/study.json", FormatFacts(facts));
  }
  WriteReports(facts, results, folder);
  return 0;
}

int Compare(const std::vector<std::string>& folders) {
  std::printf("%s", ComparisonText({ReadFacts(folders[0]), ReadResults(folders[0])},
                                   {ReadFacts(folders[1]), ReadResults(folders[1])})
                        .c_str());
  return 0;
}

}  // namespace

void AddScaleCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ScaleOptions>();
  CLI::App* command = app.add_subcommand("scale", "Measure how a recipe scales: points, repeats, intervals, a report");
  command->add_option("RECIPE", options->recipe, "The recipe");
  command->add_option("--ranks", options->ranks, "Numbers of ranks: 1,2,4,8 or 1-4 (default: 1,2)");
  command
      ->add_option(
          "--mode", options->mode,
          "strong: the same recipe, the same weights (default); weak: samples of a rank stay; throughput: ranks "
          "stay, the batch grows")
      ->check(OneOf({"strong", "weak", "throughput"}));
  command->add_option("--batches", options->batches, "Samples a step of --mode throughput: 64,128,256");
  command
      ->add_option("--rate-rule", options->rate_rule,
                   "How the learning rate follows a batch that grows: none, linear or sqrt (default: linear)")
      ->check(OneOf({"none", "linear", "sqrt"}));
  command->add_option("--repeats", options->repeats, "Runs of each point (default: 5)")->check(WholeNumber(1));
  command
      ->add_option("--executors", options->executors,
                   "Executors (cores) of each rank, at every point (default: this machine's cores, shared by the "
                   "most ranks; on other hosts what they give)")
      ->check(WholeNumber(1));
  command->add_option(
      "--base-lanes", options->base_lanes,
      "Lanes of one rank, beside the recipe's: auto, which looks for the fastest (default), numbers as 1,4, or none");
  command->add_option("--steps", options->steps, "Steps of a run (default: what takes 5 s at the first point)")
      ->check(WholeNumber(8));
  command->add_option("--target", options->target,
                      "MEASURE=VALUE: runs are whole, and the time to reach it is reported, e.g. accuracy=0.97");
  command->add_option("--vary", options->varied, "FIELD=A,B: points for each value of a field; may be given again")
      ->allow_extra_args(false);
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  command->add_option("--against", options->against,
                      "A peer's command, run in turns: {ranks}, {executors} (of a rank), {steps} and {batch} in it are "
                      "filled in; it prints its rate as samples_per_s=812.5 or 812 items/s");
  auto* hosts = command->add_option("--hosts", options->hosts, "Hosts, with the ranks that fit: h1:4,h2:4");
  auto* hostfile =
      command->add_option("--hostfile", options->hostfile, "A file of hosts, as mpirun's")->excludes(hosts);
  command
      ->add_option("--launcher", options->launcher, "mpirun or srun, for steps of a Slurm allocation (default: mpirun)")
      ->check(OneOf({"mpirun", "srun"}));
  command->add_option("--seed", options->seed, "Draws the order of runs (default: 0)");
  command->add_option("--out", options->out, "Folder of the study (default: studies/NAME)");
  command->add_flag("--anyway", options->anyway, "Measure although the machine would mislead; the report says so");
  command->add_flag("--keep", options->keep, "Keep checkpoints of the runs");
  auto* compare =
      command->add_option("--compare", options->compare, "Two folders of studies: which points differ beyond noise")
          ->expected(2);
  AddSlurmFlag(*command, options->slurm, options->submit)->excludes(hosts)->excludes(hostfile)->excludes(compare);
  command->footer(
      "Examples:\n"
      "  lockstep scale examples/mnist.textproto --ranks 1,2,4\n"
      "  lockstep scale examples/mnist.textproto --ranks 1,2 --vary train.lanes=4,8 --repeats 7\n"
      "  lockstep scale r.textproto --mode weak --ranks 1-4 --hosts h1:2,h2:2\n"
      "  lockstep scale r.textproto --ranks 1,2,4,8 --slurm --nodes 2 --time 2h --partition cpu\n"
      "  lockstep scale --compare studies/before studies/after\n"
      "Runs take turns in an order that is drawn; two points are alike, to show the noise. A study that is stopped "
      "goes on "
      "where it was when it is started again; with --slurm its job is requeued and goes on by itself.");
  command->callback([options, command, exit_code] {
    options->command = TypedCommand();
    if (options->recipe.empty() == options->compare.empty())
      throw Error(ErrorKind::kUsage, "give a recipe, or two studies to --compare", "lockstep scale",
                  "lockstep scale --help");
    *exit_code = RunAlone([&] {
      if (options->submit) return SubmitStudy(*options, *command);
      return options->compare.empty() ? Scale(*options) : Compare(options->compare);
    });
  });
}

}  // namespace lockstep::launch

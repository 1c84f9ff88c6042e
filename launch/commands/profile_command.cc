// lockstep profile: a short run whose ranks record what they do, as tables and as a trace.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/commands.h"
#include "launch/commands/errors.h"
#include "launch/profile/profile_summary.h"
#include "launch/profile/profile_text.h"
#include "launch/profile/profiled_job.h"
#include "launch/profile/profiled_run.h"
#include "launch/profile/trace_writer.h"
#include "launch/recipe/recipe.h"
#include "launch/scale/machine_limits.h"

namespace lockstep::launch {
namespace {

constexpr double kSecondsOfALimit = 1;

struct ProfileOptions {
  std::string path, out, hosts, hostfile, launcher = "mpirun";
  std::vector<std::string> settings;
  int ranks = 0, top = 15;
  uint64_t steps = 20, warm_up_steps = 10;
  bool json = false, peak = true;
};

/// The recipe as it is run. What is typed has the last word.
Recipe RecipeOf(const ProfileOptions& options) {
  std::vector<std::string> settings = SettingsOf(options.steps, options.warm_up_steps);
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  return ReadRecipe(options.path, settings);
}

ProfiledJob JobOf(const ProfileOptions& options, const std::string& folder) {
  ProfiledJob job{.folder = folder + "/run", .log = folder + "/run.log", .recipe = folder + "/recipe.textproto"};
  if (options.ranks > 0) job.launcher = {"-n", std::to_string(options.ranks)};
  if (!options.hosts.empty()) job.launcher.insert(job.launcher.end(), {"--hosts", options.hosts});
  if (!options.hostfile.empty()) job.launcher.insert(job.launcher.end(), {"--hostfile", options.hostfile});
  job.launcher.insert(job.launcher.end(), {"--launcher", options.launcher});
  return job;
}

std::string Absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

/// Makes the run in `folder`, and returns where.
std::string RunRecipe(const ProfileOptions& options, const Recipe& recipe, const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(folder);
  const ProfiledJob job = JobOf(options, folder);
  // A file of its own: what was read may be a pipe.
  WriteFileAtomically(files, job.recipe, ToText(recipe));
  PollStopSignals();
  LogNote("profiling {} steps behind {} that warm up, in {}", options.steps, options.warm_up_steps, folder);
  RunProfiledJob(job);
  return job.folder;
}

/// The machine's that this runs on; one that is busy otherwise shows less.
ExecutorLimits MeasureLimits(const ProfileSummary& summary) {
  const int threads = summary.computing_threads;
  if (threads == 0 || summary.device != "CPU") return {};
  const double of_executor = static_cast<double>(summary.lane_threads) / threads;
  return {MeasureMatrixRate(threads, kSecondsOfALimit) * of_executor,
          MeasureCopyRate(threads, kSecondsOfALimit) * of_executor};
}

int Profile(const ProfileOptions& options) {
  InstallStopSignals(true);
  FileSystem& files = FileSystem::Real();
  std::error_code unknown;  // of what can't be looked at, reading it says more
  std::string folder = options.out, run_folder = options.path;
  if (std::filesystem::is_directory(options.path, unknown)) {
    folder = Absolute(folder.empty() ? options.path + "/profile" : folder);
  } else {
    const Recipe recipe = RecipeOf(options);
    folder = Absolute(folder.empty() ? "profiles/" + recipe.name() : folder);
    run_folder = RunRecipe(options, recipe, folder);
  }
  const ProfiledRun run = ReadProfiledRun(files, run_folder);
  files.CreateFolders(folder);
  const std::string trace = folder + "/trace.json";
  WriteAtomically(files, trace, Durability::kProcess, [&](WritableFile& file) {
    WriteTrace(run, [&](std::string_view text) { file.Append(std::as_bytes(std::span(text))); });
  });
  const ProfileSummary summary = Summarize(run);
  const ExecutorLimits limits = options.peak ? MeasureLimits(summary) : ExecutorLimits{};
  if (options.json) {
    std::printf("%s", ProfileJson(summary, limits).c_str());
  } else {
    std::printf("%s\n%s: open it at https://ui.perfetto.dev, or in chrome://tracing\n",
                ProfileText(summary, limits, static_cast<size_t>(options.top)).c_str(), trace.c_str());
  }
  return 0;
}

}  // namespace

void AddProfileCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ProfileOptions>();
  CLI::App* command =
      app.add_subcommand("profile", "Where the time of steps goes: op by op, as tables and as a trace of all ranks");
  command
      ->add_option("PATH", options->path,
                   "A recipe, of which a short run is made; or a run's folder with a profile in it")
      ->required();
  command->add_option("--steps", options->steps, "Steps that are profiled (default: 20)")->check(WholeNumber(1, 1000));
  command->add_option("--warm-up-steps", options->warm_up_steps, "Steps that pass first (default: 10)")
      ->check(WholeNumber(0));
  command->add_option("-n,--ranks", options->ranks, "Ranks (default: as lockstep run's)")->check(WholeNumber(1));
  auto* hosts = command->add_option("--hosts", options->hosts, "Hosts, with the ranks that fit: h1:4,h2:4");
  command->add_option("--hostfile", options->hostfile, "A file of hosts, as mpirun's")->excludes(hosts);
  command
      ->add_option("--launcher", options->launcher, "mpirun or srun, for steps of a Slurm allocation (default: mpirun)")
      ->check(OneOf({"mpirun", "srun"}));
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  command->add_option("--out", options->out, "Folder of the trace (default: profiles/NAME, or RUN/profile)");
  command->add_option("--top", options->top, "Rows of the table of single ops (default: 15)")->check(WholeNumber(0));
  command->add_flag("--json", options->json, "Print one JSON object instead of tables");
  command->add_flag("--peak,!--no-peak", options->peak, "Measure what this machine's cores can do, for 2 s (default)");
  command->footer(
      "Examples:\n"
      "  lockstep profile examples/mnist.textproto -n 2\n"
      "  lockstep profile r.textproto --steps 5 --hosts h1:2,h2:2 --json > profile.json\n"
      "  lockstep profile runs/mnist          (of a run whose recipe has profile { steps: 20 })\n"
      "Weights of a run are the same with a profile and without.");
  command->callback([options, exit_code] { *exit_code = RunAlone([&] { return Profile(*options); }); });
}

}  // namespace lockstep::launch

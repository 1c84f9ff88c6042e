// `lockstep replay`: reruns steps of a run and compares them with its certificate (trainer/run/replay.h). Runs ranks.
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "comm/agreement.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/errors.h"
#include "launch/job/gpu.h"
#include "launch/job/job_setup.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/records/certificate.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/run/replay.h"

namespace lockstep::launch {
namespace {

struct ReplayCommandOptions {
  std::string path, steps, certificate, record;
  std::vector<std::string> settings;
  int executors = 0;
  uint64_t every = 0;
};

uint64_t ParseStep(std::string_view text, const std::string& all) {
  uint64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" is not FROM:TO", all), "--steps", "for example --steps 100:300");
  return step;
}

void ParseSteps(const std::string& text, run::ReplayOptions& options) {
  const size_t colon = text.find(':');
  const std::string_view view = text;
  options.first = ParseStep(view.substr(0, colon), text);
  options.last = ParseStep(colon == std::string::npos ? "" : view.substr(colon + 1), text);
}

/// The run's recipe, in which `settings` may say where the data lie on this machine.
Recipe ReadRunsRecipe(const std::string& path, const std::vector<std::string>& settings) {
  Recipe recipe = ReadRecipe(path, settings);
  ResolveRecipe(recipe, FactsOfGpus(recipe));
  Recipe before = ReadRecipe(path, {});
  ResolveRecipe(before, FactsOfGpus(before));
  const std::vector<std::string> fields = IdentityOfRun(before).Compare(IdentityOfRun(recipe));
  if (!fields.empty())
    throw Error(ErrorKind::kUsage, fmt::format("{} would make another run of it", fmt::join(fields, ", ")), "--set",
                "set only where the data lie, and what does not decide the weights");
  return recipe;
}

int Replay(const ReplayCommandOptions& given) {
  return RunRanks([&](comm::Communicator& comm) {
    run::Job job;
    run::ReplayOptions options;
    comm::Together(comm, "the set-up", [&] {
      ParseSteps(given.steps, options);
      const std::filesystem::path run = records::RunFolderOf(given.path);
      job = MakeJob(ReadRunsRecipe((run / "recipe.textproto").string(), given.settings), comm);
      options.certificate = given.certificate;
      const std::string runs_own = (run / records::kCertificateName).string();
      if (options.certificate.empty() && FileSystem::Real().Exists(runs_own)) options.certificate = runs_own;
    });
    job.place.executors = given.executors;
    options.checkpoint = given.path;
    options.record = given.record;
    options.every = given.every;
    const auto say = [](const std::string& line) {
      std::printf("%s\n", line.c_str());
      FlushStandardOutput();
    };
    const run::ReplayResult result = run::Replay(job, options, say);
    if (comm.rank() == 0) say(result.line);
    // Some launchers end all ranks as soon as one returns an exit code that is not 0: not before that line is out.
    comm.Wait(*comm.Barrier(), "the end of the replay");
    return result.exit_code;
  });
}

}  // namespace

void AddReplayCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<ReplayCommandOptions>();
  CLI::App* command = app.add_subcommand(
      "replay", "Rerun steps of a run and compare them with its certificate; exit 0 (they agree) or 1 (they differ)");
  command
      ->add_option("PATH", options->path,
                   "A checkpoint inside a run's folder, or the folder: its newest checkpoint at or before FROM")
      ->required();
  command->add_option("--steps", options->steps, "FROM:TO: which rows of the certificate to compare")->required();
  command
      ->add_option("--every", options->every,
                   "Also hash the weights every so many steps (default: only at the certificate's)")
      ->check(WholeNumber(1));
  command->add_option("--record", options->record, "Write what was computed to this file, as a certificate");
  command
      ->add_option("--certificate", options->certificate,
                   "Compare with this file (default: the run's certificate.json)")
      ->check(CLI::ExistingFile);
  command->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe, such as where the data lie")
      ->allow_extra_args(false);
  command->add_option("--executors", options->executors, "Threads that run lanes, on each rank (default: 1)")
      ->check(WholeNumber(1));
  command->footer(
      "Nothing is written into the run's folder.\n"
      "Examples:\n"
      "  mpirun -n 4 lockstep replay runs/mnist --steps 100:300\n"
      "  lockstep replay runs/mnist/checkpoints/step-00000100 --steps 100:200 --every 1 --record here.json\n"
      "To find the first step at which two machines part, record on both with --every 1 and compare with lockstep "
      "diff.");
  command->callback([options, exit_code] { *exit_code = Replay(*options); });
}

}  // namespace lockstep::launch

#include "launch/commands/train_arguments.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "launch/command_line/option_checks.h"

namespace lockstep::launch {

namespace {

/// A path as a word for launchers: mpirun takes one that is ":" for the end of a program's words, and train one that
/// begins with "-" for an option.
std::string PathWord(const std::string& path) { return path == ":" || path.starts_with('-') ? "./" + path : path; }

}  // namespace

void TrainArguments::AddTo(CLI::App& command) {
  command.add_option("RECIPE", recipe, "The recipe, a protobuf text file (see lockstep help recipe)")->required();
  command.add_option("--out", out, "Folder of the run (default: runs/NAME)");
  command
      .add_option("--set", settings, "PATH=VALUE: sets a field of the recipe, e.g. train.seed=2; may be given again")
      ->allow_extra_args(false);
  command.add_flag("--fresh", fresh, "Move an old run in the folder aside and start anew");
  command.add_flag("--accept-build", accept_build, "Continue a run that another build of lockstep began (recorded)");
  command.add_flag("--change-numerics", change_numerics,
                   "Let --set of train.device, precision, isa or lanes change a run that goes on (recorded)");
  command
      .add_option(
          "--change", change,
          "recipe: let a run that goes on have another learning rate, schedule, length, batch or data (recorded)")
      ->check(OneOf({"recipe"}));
  command
      .add_option("--executors", executors, "Threads that run lanes, on each rank (default: its share of the cores)")
      ->check(WholeNumber(1));
  command.add_option("--progress", progress, "on or off (default: a bar on a terminal, else a line every few seconds)")
      ->check(OneOf({"on", "off", "auto"}));
  command.add_option("--grace", grace,
                     "What lies between a signal to stop and the end, to warn where a checkpoint takes longer: 30, 2m");
}

std::vector<std::string> TrainArguments::Words() const {
  std::vector<std::string> words = {PathWord(recipe)};
  if (!out.empty()) words.insert(words.end(), {"--out", PathWord(out)});
  for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
  if (accept_build) words.emplace_back("--accept-build");
  if (change_numerics) words.emplace_back("--change-numerics");
  if (!change.empty()) words.insert(words.end(), {"--change", change});
  if (executors > 0) words.insert(words.end(), {"--executors", std::to_string(executors)});
  if (!progress.empty()) words.insert(words.end(), {"--progress", progress});
  if (!grace.empty()) words.insert(words.end(), {"--grace", grace});
  return words;
}

std::string TrainArguments::Folder(const std::string& name) const {
  return std::filesystem::absolute(out.empty() ? "runs/" + name : out).lexically_normal().string();
}

}  // namespace lockstep::launch

#include "launch/slurm/slurm_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/duration.h"
#include "launch/command_line/option_checks.h"
#include "launch/slurm/site_config.h"
#include "launch/supervise/launcher/own_program.h"

namespace lockstep::launch {
namespace {

constexpr char kGroup[] = "With --slurm";

void AddTo(CLI::App& command, SlurmOptions& options, const char* group, const char* ranks_help,
           std::vector<CLI::Option*>& added) {
  const auto add = [&](CLI::Option* option) {
    if (group != nullptr) option->group(group);
    added.push_back(option);
    return option;
  };
  add(command.add_option("--time", options.time, "Time limit of one start: 30m, 12h, 00:30:00, 1-00:00:00"));
  add(command.add_option("--nodes", options.nodes, "Nodes (default: 1)"))->check(WholeNumber(1));
  add(command.add_option("--partition", options.partition, "Partition (default: the site's)"));
  add(command.add_option("--ranks-per-node", options.ranks_per_node, ranks_help))->check(WholeNumber(1));
  add(command.add_option("--cpus-per-rank", options.cpus_per_rank, "Cores of each rank (default: Slurm's)"))
      ->check(WholeNumber(1));
  add(command.add_option("--gpus-per-node", options.gpus_per_node, "GPUs on each node"))->check(WholeNumber(1));
  add(command.add_option("--chain", options.chain, "So many jobs, each after the other, where Slurm may not requeue"))
      ->check(WholeNumber(1));
  add(command.add_flag("--dry-run", options.dry_run, "Print the script and submit nothing"));
  add(command.add_option("OPTIONS", options.sbatch, "After --: options for sbatch, each one word"));
}

}  // namespace

CLI::Option* AddSlurmOptions(CLI::App& command, SlurmOptions& options) {
  std::vector<CLI::Option*> added;
  AddTo(command, options, nullptr, "Ranks on each node (default: one a GPU, else 1)", added);
  return added.front();
}

CLI::Option* AddSlurmFlag(CLI::App& command, SlurmOptions& options, bool& slurm) {
  CLI::Option* flag = command.add_flag(
      "--slurm", slurm, "Submit a Slurm job that does this, and goes on where it was when its time limit stops it");
  flag->group(kGroup);
  std::vector<CLI::Option*> added;
  AddTo(command, options, kGroup, "Ranks on each node (default: what the most ranks need)", added);
  for (CLI::Option* option : added) option->needs(flag);
  flag->needs(added.front());  // the time limit
  return flag;
}

std::vector<std::string> WordsForJob(const CLI::App& command, const std::vector<std::string_view>& left_out) {
  std::vector<std::string> words{command.get_name()};
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_group() == kGroup) continue;
    if (option->get_lnames().empty() || option->get_positional()) {
      for (const std::string& value : option->results()) words.push_back(value);
      continue;
    }
    const std::string name = "--" + option->get_lnames().front();
    if (std::ranges::find(left_out, name) != left_out.end()) continue;
    if (option->get_items_expected_max() == 0) {
      words.push_back(name);
      continue;
    }
    for (const std::string& value : option->results())
      if (value.starts_with('-'))
        words.push_back(name + "=" + value);  // else it would be another option
      else
        words.insert(words.end(), {name, value});
  }
  return words;
}

JobScript ScriptOf(const SlurmOptions& options) {
  JobScript job;
  job.site = ReadSite();
  job.sbatch = options.sbatch;
  job.program = OwnProgram();
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
  return job;
}

}  // namespace lockstep::launch

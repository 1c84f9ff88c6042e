// What commands that submit a Slurm job take: nodes, time, partition, and what else sbatch is to be told.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/slurm/sbatch_script.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lockstep::launch {

struct SlurmOptions {
  int nodes = 1, ranks_per_node = 0, cpus_per_rank = 0, gpus_per_node = 0, chain = 0;
  std::string time, partition;
  std::vector<std::string> sbatch;
  bool dry_run = false;
};

/// For a command that submits and nothing else. Returns the option of the time limit.
CLI::Option* AddSlurmOptions(CLI::App& command, SlurmOptions& options);
/// For one that submits where --slurm is given: a group of its own, whose options need that flag. Returns the flag.
CLI::Option* AddSlurmFlag(CLI::App& command, SlurmOptions& options, bool& slurm);

/// The words that `command` was given, its own name first, without positional ones behind `--`, without the options of
/// the Slurm group and without those that are named ("--out"): for the job, which is to do the same.
std::vector<std::string> WordsForJob(const CLI::App& command, const std::vector<std::string_view>& left_out);

/// Site, directory, program, nodes and times. Throws Error(kUsage) where the site's file or the time can't be read.
JobScript ScriptOf(const SlurmOptions& options);

}  // namespace lockstep::launch

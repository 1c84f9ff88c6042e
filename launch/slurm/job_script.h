// A Slurm job as a script is to be written for it (sbatch_script.h), and the words of such scripts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/slurm/site.pb.h"

namespace lockstep::launch {

enum class JobWork {
  kRun,    ///< `lockstep run`: a training run
  kStudy,  ///< `lockstep scale`, whose runs are steps of the job
  kSweep,  ///< `lockstep tune`, whose trials are
};

struct JobScript {
  Site site;
  std::string name;       ///< of the job
  std::string program;    ///< lockstep, absolute
  std::string folder;     ///< of the run, study or sweep, absolute
  std::string directory;  ///< where it was submitted: relative paths start there
  JobWork work = JobWork::kRun;
  /// Words after "lockstep run ..." of a run, the recipe and options; after "lockstep" of a study or a sweep: scale ...
  std::vector<std::string> words;
  int nodes = 1;
  int ranks_per_node = 1;
  int cpus_per_rank = 0;  ///< 0: Slurm's default
  int gpus_per_node = 0;
  int64_t seconds = 0;                                ///< time limit
  std::string partition;                              ///< goes before the site's
  bool array = false;                                 ///< a job array: %a stands for a number
  std::vector<std::vector<std::string>> varied = {};  ///< of an array: the settings of job 0, 1, ..., for --set
  bool chain = false;               ///< one of several jobs, each after the other, instead of requeueing
  std::vector<std::string> sbatch;  ///< further options, after the site's
};

/// `text` with `number` in place of %a.
std::string WithArrayNumber(std::string text, const std::string& number);

/// `word` for the script: as a shell reads it back, but in an `array` with %a replaced by the job's number there.
std::string ScriptWord(const std::string& word, bool array);

}  // namespace lockstep::launch

// Runs the trials of a sweep side by side, stops those that a decision stops, and notes every result and decision.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/tune/sweep.h"

namespace lockstep::launch {

struct SweepSetup {
  std::string folder, recipe = {};
  std::vector<std::string> settings = {};  ///< of --set, for all trials
  std::vector<std::string> launcher = {};  ///< words for `lockstep run`
  int parallel = 1;
  int ranks = 1;      ///< of each trial
  int executors = 0;  ///< of each rank; 0: its share of the cores
};

/// All trials, in the order of their numbers, and behind them runs of the best with other seeds. What trials.jsonl in
/// the folder has already is not run again; trials that were on their way go on from their checkpoints. `say` gets a
/// line for each end and each decision. Throws Error(kPreempted) where this process is asked to stop: trials save and
/// end first.
std::vector<Trial> RunSweep(const SweepRequest& request, const SweepSetup& setup,
                            const std::function<void(const std::string&)>& say);

}  // namespace lockstep::launch

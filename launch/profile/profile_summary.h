// What a profile comes to: each op's time, FLOP and bytes, and where the time of a step goes, by phase.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/profile/profiled_run.h"

namespace lockstep::launch {

/// An op of the program, or all of a kind, over all lanes of all ranks.
struct OpUse {
  std::string kind, name;  ///< no name: of a kind
  bool forward = false;
  uint64_t runs = 0;
  double seconds = 0, flops = 0, bytes = 0;  ///< of all these
};

/// Where a thread's time goes. Seconds of a step, mean over the steps and over the executors of a rank.
struct PhaseUse {
  std::string name;
  double mean = 0;             ///< over ranks
  double least = 0, most = 0;  ///< of any rank
  int most_rank = 0;           ///< whose that is
};

struct ProfileSummary {
  int ranks = 0, executors = 0, lane_threads = 1;  ///< executors: of all ranks
  int computing_threads = 0;                       ///< on the host of rank 0
  uint64_t first_step = 0, steps = 0;
  double step_seconds = 0;  ///< mean over steps and ranks, without what lies between steps
  double flops = 0;         ///< of a step, all lanes
  int64_t clock_error_ns = 0;
  uint64_t dropped = 0;  ///< events that found no room: what is said of the others is too little then
  std::string device = {};
  std::vector<OpUse> kinds = {}, ops = {};  ///< those that take most first
  /// Of executors these add up to a step; so do those of the communicating thread, to which what lies between steps is
  /// added.
  std::vector<PhaseUse> executor_phases = {}, communication_phases = {};
};

ProfileSummary Summarize(const ProfiledRun& run);

}  // namespace lockstep::launch

// How long a step takes, worked out: a pure function of what the plan says (programs, lanes, ranks) and of a machine's
// measured times.
//
// A step is: packed copies of weights; each executor's lanes one after the other (inputs, forward, backward, what is
// added up); sums and updates of what a rank owns; and what every step takes besides. The slowest executor decides.
// Ranks of a host compute at once, so ops take what they take with so many threads (op_times.h). Sums and updates, and
// the loading of samples, are done beside lanes where there are cores that don't compute; where there are none, their
// time is shared by those that do. What messages between hosts add is not in it (project/between_hosts.h).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/shape.h"
#include "launch/estimate/op_times.h"

namespace lockstep::launch {

/// The program of one shape of lane batches.
struct ProgramWork {
  std::vector<OpWork> ops;
  size_t forward_ops = 0;  ///< the first of them: those up to the losses
  double input_bytes = 0, packed_bytes = 0;
};

/// What a step asks for. All hosts are alike.
struct StepDemand {
  std::vector<ProgramWork> programs;  ///< by shape
  /// Steps that stand for all: [step][executor of all ranks][lane of it], each lane's shape.
  std::vector<std::vector<std::vector<int>>> steps;
  int executors_per_host = 1, ranks_per_host = 1, ranks = 1;
  double elements = 0;          ///< of the parameter arena
  DType wire = DType::kF32;     ///< of sums over lanes
  int state_arrays = 0;         ///< of the optimizer
  int pieces = 1;               ///< addends of a sum: those of a host's executors, and one of each other host
  double last_share = 1;        ///< of the elements: what is ready only behind the last op (an embedding that is tied)
  bool updates_at_end = false;  ///< clipping, or steps that may be skipped: updates wait for all sums
  double lane_loading = 0;      ///< seconds in which one thread makes a lane's batch
  int loader_threads = 1;       ///< of a rank
};

/// Seconds of a step, by what they go to: parts add up to `step`.
struct StepEstimate {
  double prepare = 0, loading = 0, forward = 0, backward = 0, update = 0, exchange = 0, other = 0;
  double step = 0;
  double arithmetic = 0;   ///< of `step`: ops whose arithmetic takes longer than their memory
  std::string bound = {};  ///< what most of the step goes to: "arithmetic", "memory", "loading" or "exchange"
  std::vector<std::string> guessed = {};  ///< kinds of ops that were not measured
};

/// REQUIRES: there are steps, each with a lane.
StepEstimate EstimateStep(const StepDemand& demand, const MachineRecord& machine);

}  // namespace lockstep::launch

// What a machine's cores were measured to do: what `doctor --measure` keeps, and `plan` reads.
//
// A small JSON file, $XDG_CACHE_HOME/lockstep/machine-HOST.json (else ~/.cache/lockstep/...), or one that is named.
// Times hold for one build on one kind of processor: it says which, and what another build measured is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/estimate/op_work.h"

namespace lockstep::launch {

/// The time of one run of an op, with one thread that computes on the machine, and with one on each of its cores.
struct MeasuredOp {
  OpWork work;
  double alone = 0, together = 0;  ///< seconds
};

/// At best, of one thread; with one thread that computes, and with one on each core.
struct MachineRates {
  double matrix_gflops = 0, copy_gb_s = 0;
};

struct MachineRecord {
  std::string host, cpu, isa, build;
  int cores = 1;  ///< that were used
  MachineRates alone, together;
  double step_overhead = 0;  ///< seconds of a step beside all else: starting executors, telling what came of it
  std::vector<MeasuredOp> ops = {};
};

std::string FormatMachine(const MachineRecord& record);
/// Throws Error(kUsage), at `where`, for what is none.
MachineRecord ParseMachine(std::string_view text, const std::string& where);

/// Where this host's is kept; empty where there is no home.
std::string KeptMachinePath();
/// "" where times of `record` hold for this build, else why not.
std::string WhyOtherBuild(const MachineRecord& record);
/// The same for this build on this processor.
std::string WhyStale(const MachineRecord& record);

}  // namespace lockstep::launch

// One run of a study: a `lockstep run` of its own, or a peer's command, started, awaited and read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/scale/study_folder.h"

namespace lockstep::launch {

/// How a study starts its runs.
struct RunSetup {
  std::string folder = {};                 ///< of the study
  std::string recipe = {};                 ///< path
  std::vector<std::string> settings = {};  ///< of --set, for all points
  std::vector<std::string> launcher = {};  ///< words for `lockstep run`: --hosts h1,h2, --launcher srun
  int executors = 0;                       ///< of each rank; 0: what its host gives it
  uint64_t steps = 0;                      ///< of each run; 0: as the recipe says
  std::string target = "";                 ///< "accuracy=0.97", "loss=0.5"
  bool keep = false;                       ///< checkpoints of the runs too
};

/// Of "accuracy=0.97": which measure, and which value it must reach. Throws Error(kUsage).
struct Target {
  std::string measure = {};
  double value = 0;
  bool falls = false;  ///< the measure gets smaller: loss, error rates
};
Target ParseTarget(const std::string& text);

/// Runs repeat `repeat` of the point. A run that fails is a result with a reason. Throws Error(kPreempted) where this
/// process is asked to stop meanwhile: the run is ended first; and where the run was (the end of a Slurm job).
RunResult MeasureRun(const StudyPoint& point, int repeat, const RunSetup& setup);

/// The last rate that a peer has printed: "samples_per_s=812.5", "812 items/s" (samples, images, tokens). 0: none.
double PrintedRate(const std::string& output);

}  // namespace lockstep::launch

// A study from its request to its results: what is not measured yet is, and every run is noted as it ends.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/scale/measure_run.h"
#include "launch/scale/study_folder.h"

namespace lockstep::launch {

/// Steps for which the slowest point takes about `seconds`, at least 40: of a pilot run of the first point.
uint64_t StepsFor(const StudyPoint& first, RunSetup setup, double seconds);

/// The lanes of `candidates` with which one rank is fastest, each tried once for a moment.
int FastestLanes(const std::vector<int>& candidates, const StudyPoint& first, const RunSetup& setup);

/// Runs what the rows in the folder lack, in the study's order, and returns all results. `say` gets a line a run.
std::vector<RunResult> RunStudy(const StudyFacts& facts, const RunSetup& setup,
                                const std::function<void(const std::string&)>& say);

/// The facts and results of a folder. Throws Error(kUsage) where it holds no study.
StudyFacts ReadFacts(const std::string& folder);
std::vector<RunResult> ReadResults(const std::string& folder);

}  // namespace lockstep::launch

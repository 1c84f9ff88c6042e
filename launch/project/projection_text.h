// A projection as a table, in sentences and as JSON.
#pragma once

#include <string>
#include <vector>

#include "launch/page/page.h"
#include "launch/project/projection.h"
#include "launch/scale/study_folder.h"

namespace lockstep::launch {

/// What was projected, of what.
struct Projection {
  const StudyFacts& facts;
  ProjectionRequest request = {};
  MeasuredRank measured = {};
  bool memory_measured = false;
  bool gbit_measured = false, latency_measured = false;  ///< of the network: by the study, whose medians they are
  std::vector<ProjectedPoint> points = {};
  std::vector<CheckedPoint> checked = {};  ///< the study's own
};

TextTable ProjectionTable(const Projection& projection);
/// That it is a simulation, what in it was measured and what assumed, and whether its sums were right.
std::vector<std::string> ProjectionNotes(const Projection& projection);
std::string ProjectionJson(const Projection& projection);

}  // namespace lockstep::launch

// Which points of two studies differ beyond noise: builds, clusters, settings.
#pragma once

#include <string>
#include <vector>

#include "launch/scale/statistics.h"
#include "launch/scale/summary.h"

namespace lockstep::launch {

struct PointDifference {
  std::string name = {};
  Ratio ratio = {};  ///< rates of the second study over those of the first
  double p = 1;      ///< of the permutation test, corrected for the number of points (Holm)
  bool beyond_noise = false;
};

/// Of the points that both have, by name. Beyond noise: p below 0.05. With few repeats no difference can be: two sets
/// of three runs have p 0.1 at least.
std::vector<PointDifference> CompareStudies(const StudySummary& a, const StudySummary& b);

struct MeasuredStudy {
  StudyFacts facts;
  std::vector<RunResult> results;
};
/// The differences as a table, with what their p says. Throws Error(kUsage) where they have no point in common.
std::string ComparisonText(const MeasuredStudy& first, const MeasuredStudy& second);

/// The least p that sets of these sizes can have.
double LeastP(size_t a, size_t b);

}  // namespace lockstep::launch

// Where a run's time went, as far as its files tell: they hold when each start and each row was, in whole seconds, and
// how long training waited for checkpoints.
#pragma once

#include <string>
#include <vector>

#include "launch/report/read_run.h"

namespace lockstep::launch {

struct TimePart {
  std::string name;
  double seconds = 0;
  bool within = false;  ///< a part of the one before that is not `within`
};

/// From the first start to the last row: starting (from each start to its first row), training, waiting for checkpoints
/// and evaluating within it, steps that were done again, and between the starts. Evaluations are left out where logged
/// steps don't fall together with them: then nothing tells when they began. Empty where there are no times.
std::vector<TimePart> TimeUse(const RunRecord& run);

}  // namespace lockstep::launch

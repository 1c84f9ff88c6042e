// Where a run's time went, as far as its files tell: they hold when each start and each row was, in whole seconds, how
// long evaluations took, and how long training waited for checkpoints and for samples.
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

/// From the first start to the last row: starting (from each start to its first row), training, with evaluating and
/// waiting for checkpoints and samples within it, steps that were done again, and between the starts. Of runs of older
/// versions evaluations are left out where logged steps don't fall together with them: nothing tells when they began.
/// Empty where there are no times.
std::vector<TimePart> TimeUse(const RunRecord& run);

}  // namespace lockstep::launch

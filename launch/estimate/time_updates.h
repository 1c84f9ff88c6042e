// The times of updates of weights, measured.
#pragma once

#include <vector>

#include "launch/estimate/time_ops.h"

namespace lockstep::launch {

/// Sums and updates on `threads` threads at once, each with its own arrays: rules that keep none to three arrays of
/// state, sizes between what fits a cache and what does not, of one and of several addends. In about `seconds`.
std::vector<TimedOp> TimeUpdates(int threads, double seconds);

}  // namespace lockstep::launch

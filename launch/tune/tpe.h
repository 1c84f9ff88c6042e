// The next trial by what the earlier ones came to: tree-structured Parzen estimators (Bergstra et al. 2011), each
// dimension by itself, with the bandwidths and weights that Hyperopt and Optuna use. A pure function of its arguments.
#pragma once

#include <cstdint>
#include <vector>

#include "launch/tune/search_space.h"

namespace lockstep::launch {

/// Earlier trials, the best first.
struct RankedTrials {
  std::vector<Units> units;
};

/// Drawn at random while there are fewer than ten earlier trials. The best tenth of them, 25 at most, make one
/// density, the others the other; of 24 candidates drawn from the first, the one with the largest ratio is taken.
Units SuggestTpe(const std::vector<Dimension>& space, const RankedTrials& earlier, uint64_t seed, int trial);

}  // namespace lockstep::launch

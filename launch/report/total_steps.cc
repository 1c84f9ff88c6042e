#include "launch/report/total_steps.h"

#include <cmath>

namespace lockstep::launch {

uint64_t TotalSteps(const Recipe& recipe, double steps_per_epoch) {
  if (recipe.train().steps() > 0) return recipe.train().steps();
  const double steps = recipe.train().epochs() * steps_per_epoch;
  return steps > 0 && steps < 1e18 ? static_cast<uint64_t>(std::floor(steps + 1e-3)) : 0;
}

}  // namespace lockstep::launch

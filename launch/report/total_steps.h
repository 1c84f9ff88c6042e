// How long a run is to be, from its folder.
#pragma once

#include <cstdint>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {

/// Steps of the whole run: what the recipe says, or what its epochs come to at a pace of `steps_per_epoch`. 0: unknown.
uint64_t TotalSteps(const Recipe& recipe, double steps_per_epoch);

}  // namespace lockstep::launch

// The small trainings by which a machine is measured: between them they have every op of the model families, in a few
// sizes each, on random samples.
#pragma once

#include <span>

namespace lockstep::launch {

/// Texts of recipes, each of two lanes.
std::span<const char* const> ReferenceRecipes();

}  // namespace lockstep::launch

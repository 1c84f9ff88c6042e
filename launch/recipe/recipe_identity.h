// What of a recipe decides the weights, and whether a run can go on with another one.
#pragma once

#include <string>
#include <vector>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {

/// The recipe without what does not decide the weights: names, paths (data are compared by fingerprint), checkpoints,
/// logging.
Recipe IdentityOf(const Recipe& recipe);

/// Paths of the fields in which two recipes differ, e.g. "train.seed, optimizer.sgd.momentum".
std::vector<std::string> DifferingFields(const Recipe& a, const Recipe& b);

/// Throws Error(kUsage) where a run that began with `before` can't go on with `now`: names the fields. More epochs or
/// steps are fine where the learning rate's schedule allows; with `change_numerics`, so are other devices, precisions,
/// instruction sets and lanes.
void CheckContinues(const Recipe& before, const Recipe& now, bool change_numerics);

}  // namespace lockstep::launch

// What of a recipe decides the weights, and whether a run can go on with another one.
#pragma once

#include <string>

#include "launch/recipe/recipe.h"
#include "trainer/plan/run_identity.h"

namespace lockstep::launch {

/// The recipe without what does not decide the weights, as its fields say (base/recipe_field.proto): names, paths (data
/// are compared by fingerprint), checkpoints, logging. Its text is in checkpoints and certificates: of an older recipe
/// it must stay the same to the letter.
Recipe IdentityOf(const Recipe& recipe);

/// Which run the resolved `recipe` is.
plan::RunIdentity IdentityOfRun(const Recipe& recipe);

/// The same of its text, as a run folder holds it. Throws Error(kUsage).
plan::RunIdentity ReadIdentity(const std::string& resolved);

}  // namespace lockstep::launch

// train.init_from: a run that begins with another's weights.
#pragma once

#include "launch/recipe/recipe.h"
#include "trainer/plan/model_spec.h"

namespace lockstep::launch {

/// Reads the weights that the recipe's train.init_from names (read_weights.h) and writes their hash into the recipe;
/// null where the recipe names none. Parameters are matched by name, those of train.init_except and, with
/// train.new_head, of the last layer (trainer/models/head.h) left out; those that are missing or of another shape are
/// an error that names them, and so are tensors that the model lacks, but for what holds no weights (counters). What
/// trainers put in front of names ("model.") is taken off where then all fit, with a note. Throws Error(kUsage,
/// kCheckpoint).
plan::InitialWeights ResolveInitFrom(Recipe& recipe);

}  // namespace lockstep::launch

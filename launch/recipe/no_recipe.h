// What lies at a path where a recipe was expected, and what can be done with it.
#pragma once

#include <string>

#include "base/error.h"

namespace lockstep::launch {

/// The Error(kUsage) for `path`, which can't be read as a recipe: a folder of a run, of checkpoints, of data or of
/// Hugging Face's, an empty or binary file, or what `error_number` (errno; 0: none) says.
Error NoRecipe(const std::string& path, int error_number);

}  // namespace lockstep::launch

// Fills in a recipe's defaults, and checks it.
#pragma once

#include <string>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {

/// What resolving a recipe needs to know of GPUs.
struct GpuFacts {
  bool any = false;   ///< there is one that this process may use
  bool bf16 = false;  ///< with bf16 matrix units
  std::string why_none = "none was looked for";
};

/// Fills in every default that decides bits (lanes, precision, device, instruction set, ...), so that it is never
/// resolved again, and checks what can be checked without data. Throws Error(kUsage) naming the field.
void ResolveRecipe(Recipe& recipe, const GpuFacts& gpus = {});

/// Machine-dependent defaults are resolved once: what `recipe` leaves open of device, precision and instruction set is
/// taken over from the resolved recipe at `path`, where there is one that can be read.
void KeepResolved(const std::string& path, Recipe& recipe);

/// For a run that goes on with other batches or data (--change recipe): what its inputs and outputs stand for, as the
/// resolved recipe at `path` says, and its lanes where they divide the batch.
void KeepForm(const std::string& path, Recipe& recipe);

}  // namespace lockstep::launch

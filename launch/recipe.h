// Reads recipes: protobuf text plus --set options, paths resolved, defaults filled in, everything checked once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/recipe.pb.h"

namespace lockstep::launch {

/// Reads `path` and applies `settings` ("data.train.limit=100"), in order. Paths in the recipe become absolute: relative to the
/// recipe's folder, in settings to the working directory; a leading $LOCKSTEP_DATA/ expands.
/// Throws Error(kUsage) with file and line, or the setting.
Recipe ReadRecipe(const std::string& path, const std::vector<std::string>& settings);
/// The same from text; `name` stands for the file in messages, relative paths start at `folder`.
Recipe ParseRecipe(const std::string& text, const std::string& name, const std::string& folder,
                   const std::vector<std::string>& settings);

/// What resolving a recipe needs to know of GPUs.
struct GpuFacts {
  bool any = false;   ///< there is one that this process may use
  bool bf16 = false;  ///< with bf16 matrix units
  std::string why_none = "none was looked for";
};

/// Fills in every default that decides bits (lanes, precision, device, instruction set, ...), so that it is never resolved again, and
/// checks what can be checked without data. Throws Error(kUsage) naming the field.
void ResolveRecipe(Recipe& recipe, const GpuFacts& gpus = {});

/// The recipe as text that ParseRecipe reads back.
std::string ToText(const Recipe& recipe);

/// The recipe without what does not decide the weights: names, paths (data are compared by fingerprint), checkpoints, logging.
Recipe IdentityOf(const Recipe& recipe);

/// Paths of the fields in which two recipes differ, e.g. "train.seed, optimizer.sgd.momentum".
std::vector<std::string> DifferingFields(const Recipe& a, const Recipe& b);

/// Throws Error(kUsage) where a run that began with `before` can't go on with `now`: names the fields. More epochs or steps are
/// fine where the learning rate's schedule allows; with `change_numerics`, so are other devices, precisions, instruction sets and
/// lanes.
void CheckContinues(const Recipe& before, const Recipe& now, bool change_numerics);

/// Machine-dependent defaults are resolved once: what `recipe` leaves open of device, precision and instruction set is taken over
/// from the resolved recipe at `path`, where there is one that can be read.
void KeepResolved(const std::string& path, Recipe& recipe);

}  // namespace lockstep::launch

// Reads recipes: protobuf text plus --set options, paths resolved.
#pragma once

#include <string>
#include <vector>

#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {

/// Reads `path` and applies `settings` ("data.train.limit=100"), in order. Paths in the recipe become absolute:
/// relative to the recipe's folder, in settings to the working directory; a leading $LOCKSTEP_DATA/ expands. Throws
/// Error(kUsage) with file and line, or the setting.
Recipe ReadRecipe(const std::string& path, const std::vector<std::string>& settings);
/// The same from text; `name` stands for the file in messages, relative paths start at `folder`.
Recipe ParseRecipe(const std::string& text, const std::string& name, const std::string& folder,
                   const std::vector<std::string>& settings);

/// The recipe as text that ParseRecipe reads back.
std::string ToText(const Recipe& recipe);

}  // namespace lockstep::launch

// The reference of recipes and sites: fields with their comments, from the schemas that are compiled in.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

/// What a recipe consists of, on one screen: its parts and the names in them.
std::string RecipeOverview();
/// Every field of a recipe, or of a site's defaults.
std::string WholeRecipe();
std::string WholeSite();

/// A part of the recipe: "data.train.csv", or a field or message by its name wherever it is ("csv", "learning_rate",
/// also what other frameworks call it, "lr"). Throws Error(kUsage) where there is none.
std::string RecipePart(const std::string& name);
std::string SitePart(const std::string& name);

/// The fields whose path, comment or values have all these words. Throws Error(kUsage) where there is none.
std::string SearchRecipe(const std::vector<std::string>& words);

}  // namespace lockstep::launch

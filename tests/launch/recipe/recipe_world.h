// Recipes from text, and what is expected of their errors.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"

namespace lockstep::launch {

inline constexpr char kSmallRecipe[] = R"(
name: "small"
model { mlp { hidden: 16 } }
data { train { synthetic { features: 8 samples: 100 } } }
train { epochs: 2 global_batch: 20 }
optimizer { sgd {} learning_rate: 0.1 }
)";

inline Recipe SmallRecipe(const std::vector<std::string>& settings = {}) {
  return ParseRecipe(kSmallRecipe, "small.textproto", "/recipes", settings);
}

inline Recipe ResolvedRecipe(const std::vector<std::string>& settings = {}) {
  Recipe recipe = SmallRecipe(settings);
  ResolveRecipe(recipe);
  return recipe;
}

/// What the usage error that `action` throws says; "no error" where there is none.
inline std::string UsageErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
    return error.what();
  }
  return "no error";
}

}  // namespace lockstep::launch

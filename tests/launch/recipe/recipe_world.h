// Recipes from text, and what is expected of their errors.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/optim/schedule.h"

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

/// The fields in which the runs of two recipes differ.
inline std::vector<std::string> DifferingFields(const Recipe& a, const Recipe& b) {
  return IdentityOfRun(a).Compare(IdentityOfRun(b));
}

/// As the coordinator asks it.
inline void CheckContinues(const Recipe& before, const Recipe& now, bool change_numerics) {
  plan::CheckContinues(ReadIdentity(ToText(before)), IdentityOfRun(now),
                       {.longer = optim::IsExtendable(now.optimizer().schedule()), .numerics = change_numerics});
}

/// What the error of `kind` that `action` throws says; "no error" where there is none.
inline std::string ErrorOf(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}
inline std::string UsageErrorOf(const std::function<void()>& action) { return ErrorOf(ErrorKind::kUsage, action); }

}  // namespace lockstep::launch

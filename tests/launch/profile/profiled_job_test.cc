#include "launch/profile/profiled_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {
namespace {

constexpr char kRecipe[] =
    "name: \"r\" model { mlp { hidden: 8 } } train { epochs: 5 global_batch: 16 } checkpoint { every_steps: 3 }"
    " optimizer { adam {} learning_rate: 0.5 }";

TEST(ProfiledJob, IsAsLongAsItsProfile) {
  const Recipe recipe = ParseRecipe(kRecipe, "r.textproto", "/", SettingsOf(7, 3));
  EXPECT_EQ(recipe.train().steps(), 10u);
  EXPECT_EQ(recipe.train().epochs(), 0);
  EXPECT_EQ(recipe.profile().steps(), 7u);
  EXPECT_EQ(recipe.profile().warm_up_steps(), 3u);
  EXPECT_EQ(recipe.train().evaluate_every_steps(), 10u);
  EXPECT_EQ(recipe.checkpoint().every_steps(), 0u);
}

TEST(ProfiledJob, NeedNotWarmUp) {
  const Recipe recipe = ParseRecipe(kRecipe, "r.textproto", "/", SettingsOf(7, 0));
  EXPECT_TRUE(recipe.profile().has_warm_up_steps()) << "else there were ten";
  EXPECT_EQ(recipe.profile().warm_up_steps(), 0u);
  const Recipe again = ParseRecipe(ToText(recipe), "again.textproto", "/", {});
  EXPECT_TRUE(again.profile().has_warm_up_steps());
}

}  // namespace
}  // namespace lockstep::launch

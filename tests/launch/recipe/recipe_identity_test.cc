// What makes two recipes the same run, and that this never changes for the recipes of older runs.
#include "launch/recipe/recipe_identity.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/files/file.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Identities are kept in checkpoints and certificates. Those here were written by the program as it was when fields did
// not say yet whether they decide bits: a run of that time must be known again.
TEST(IdentityOf, OldRecipesIsWhatItWasToTheLetter) {
  const std::string folder = LOCKSTEP_SOURCE_DIR "/tests/launch/recipe/identities/", ending = ".recipe.textproto";
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path();
    if (!path.ends_with(ending)) continue;
    const std::string identity = path.substr(0, path.size() - ending.size()) + ".identity.textproto";
    EXPECT_EQ(ToText(IdentityOf(ReadRecipe(path, {}))), ReadWholeFile(FileSystem::Real(), identity)) << path;
    ++compared;
  }
  EXPECT_EQ(compared, 6);
}

TEST(IdentityOf, LeavesOutWhatDoesNotDecideTheWeights) {
  const Recipe plain = ResolvedRecipe();
  for (const std::string setting :
       {"name=other", "checkpoint.every_steps=5", "checkpoint.keep=9", "data.threads=4", "data.verify=FULL",
        "train.log_every_steps=1", "train.on_other_hardware=WARN", "train.init_from=/weights.safetensors",
        "train.evaluate_every_steps=7", "train.evaluation_block=9"})
    EXPECT_THAT(DifferingFields(IdentityOf(plain), IdentityOf(ResolvedRecipe({setting}))), IsEmpty()) << setting;
  Recipe here = ResolvedRecipe({"data.train.csv.file=/here/a.csv"}),
         there = ResolvedRecipe({"data.train.csv.file=/there/a.csv"});
  EXPECT_THAT(DifferingFields(IdentityOf(here), IdentityOf(there)), IsEmpty());
}

TEST(IdentityOf, HoldsWhenEvaluationsAreMadeWhereTheyCanStopTheRun) {
  const std::string stopping = "train.early_stopping=patience: 1";
  const Recipe plain = ResolvedRecipe({stopping}), other = ResolvedRecipe({stopping, "train.evaluate_every_steps=7"});
  EXPECT_THAT(DifferingFields(IdentityOf(plain), IdentityOf(other)), ElementsAre("train.evaluate_every_steps"));
}

TEST(IdentityOf, HoldsWhatDecidesTheWeights) {
  const Recipe plain = ResolvedRecipe();
  const std::pair<const char*, const char*> settings[] = {
      {"train.seed=2", "train.seed"},
      {"train.lanes=4", "train.lanes"},
      {"train.epochs=3", "train.epochs"},
      {"train.global_batch=40", "train.global_batch"},
      {"train.lane_threads=2", "train.lane_threads"},
      {"train.init_from_hash=0123", "train.init_from_hash"},
      {"model.mlp.hidden=17", "model.mlp.hidden"},
      {"model.mlp.activation=GELU", "model.mlp.activation"},
      {"data.train.limit=50", "data.train.limit"},
      {"data.augment.flip=true", "data.augment"},
      {"optimizer.sgd.momentum=0.5", "optimizer.sgd.momentum"},
      {"optimizer.learning_rate=0.2", "optimizer.learning_rate"},
      {"optimizer.groups=pattern: \"x\"", "optimizer.groups"},
  };
  for (const auto& [setting, field] : settings) {
    Recipe other = ResolvedRecipe({setting});
    other.mutable_train()->set_lanes(std::string(setting) == "train.lanes=4" ? 4 : 5);
    EXPECT_THAT(DifferingFields(IdentityOf(plain), IdentityOf(other)), ElementsAre(field));
  }
}

TEST(DifferingFields, ListsEachOnce) {
  const Recipe a = ResolvedRecipe({"model.mlp.hidden=1,2,3"}),
               b = ResolvedRecipe({"model.mlp.hidden=4,5,6,7", "train.seed=1"});
  EXPECT_THAT(DifferingFields(a, b), testing::UnorderedElementsAre("model.mlp.hidden", "train.seed"));
  EXPECT_THAT(DifferingFields(a, a), IsEmpty());
}

std::string ContinueError(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  return ErrorOf(ErrorKind::kMixed,
                 [&] { CheckContinues(ResolvedRecipe(before), ResolvedRecipe(now), /*change_numerics=*/false); });
}

TEST(CheckContinues, TheSameRunGoesOn) {
  EXPECT_EQ(ContinueError({}, {}), "no error");
  EXPECT_EQ(ContinueError({}, {"name=other", "checkpoint.every_steps=7"}), "no error");
}

TEST(CheckContinues, NamesWhatDiffers) {
  EXPECT_THAT(ContinueError({}, {"train.seed=2", "optimizer.sgd.momentum=0.5"}),
              AllOf(HasSubstr("optimizer.sgd.momentum"), HasSubstr("train.seed"), HasSubstr("--fresh")));
}

TEST(CheckContinues, ARunMayGetLongerWhereTheScheduleAllows) {
  EXPECT_EQ(ContinueError({}, {"train.epochs=4"}), "no error");
  EXPECT_EQ(ContinueError({"train.epochs=0", "train.steps=10"}, {"train.epochs=0", "train.steps=20"}), "no error");
  EXPECT_EQ(ContinueError({"optimizer.schedule.step.every_steps=3"},
                          {"optimizer.schedule.step.every_steps=3", "train.epochs=4"}),
            "no error");
  EXPECT_THAT(ContinueError({"optimizer.schedule.cosine="}, {"optimizer.schedule.cosine=", "train.epochs=4"}),
              AllOf(HasSubstr("train.epochs"), HasSubstr("drawn over the whole run")));
}

TEST(CheckContinues, ALongerRunMustBeTheSameInAllElse) {
  EXPECT_THAT(ContinueError({}, {"train.epochs=4", "train.seed=2"}),
              AllOf(HasSubstr("train.seed"), testing::Not(HasSubstr("epochs,"))));
}

TEST(CheckContinues, ARunDoesNotGetShorter) {
  EXPECT_THAT(ContinueError({}, {"train.epochs=1"}), HasSubstr("train.epochs"));
  EXPECT_THAT(ContinueError({}, {"train.epochs=0", "train.steps=1000"}), HasSubstr("train.epochs"));
}

}  // namespace
}  // namespace lockstep::launch

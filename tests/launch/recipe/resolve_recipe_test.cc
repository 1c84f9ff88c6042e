// What a resolved recipe holds, which recipes are refused, and what makes two recipes the same run.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "base/threads.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(ResolveRecipe, FillsInWhatDecidesBits) {
  const Recipe recipe = ResolvedRecipe();
  EXPECT_EQ(recipe.train().lanes(), 5u);  // the largest divisor of 20 up to 8
  EXPECT_EQ(recipe.train().lane_threads(), 1u);
  EXPECT_EQ(recipe.train().precision(), plan::Precision::F32);
  EXPECT_EQ(recipe.train().device(), plan::Device::CPU);
  EXPECT_NE(recipe.train().isa(), plan::InstructionSet::AUTO);
  EXPECT_EQ(recipe.train().evaluation_block(), 500u);
  EXPECT_EQ(recipe.train().log_every_steps(), 10u);
}

TEST(ResolveRecipe, TakesTheMachinesBestInstructionSet) {
  EXPECT_EQ(ResolvedRecipe().train().isa(), static_cast<int>(DetectIsa()) + 1);
  EXPECT_EQ(ResolvedRecipe({"train.isa=GENERIC"}).train().isa(), plan::InstructionSet::GENERIC);
}

TEST(ResolveRecipe, ChoosesLanesFromTheBatch) {
  for (const auto& [batch, lanes] : {std::pair{1, 1}, {7, 7}, {8, 8}, {12, 6}, {13, 1}, {64, 8}, {100, 5}, {77, 7}})
    EXPECT_EQ(ResolvedRecipe({"train.global_batch=" + std::to_string(batch)}).train().lanes(),
              static_cast<uint32_t>(lanes))
        << batch;
}

TEST(ResolveRecipe, DoesNotChangeAResolvedRecipe) {
  Recipe recipe = ResolvedRecipe();
  const Recipe before = recipe;
  ResolveRecipe(recipe);
  EXPECT_TRUE(MessageDifferencer::Equals(recipe, before));
}

struct Rejection {
  std::vector<std::string> settings;
  const char* field;
  const char* says;
};

TEST(ResolveRecipe, NamesTheFieldOfWhatItRejects) {
  const Rejection rejections[] = {
      {{"name=a/b"}, "name: ", "slash"},
      {{"train.epochs=0"}, "train: ", "either epochs or steps"},
      {{"train.steps=10"}, "train.steps: ", "beside train.epochs"},
      {{"train.steps=10", "train.epochs=-1"}, "train.epochs: ", "-1"},
      {{"train.epochs=-1"}, "train", "epochs"},
      {{"train.epochs=nan"}, "train", "epochs"},
      {{"train.epochs=inf"}, "train.epochs: ", "inf"},
      {{"train.global_batch=0"}, "train.global_batch: ", "missing"},
      {{"train.lanes=3"}, "train.global_batch: ", "not divisible by lanes (3)"},
      {{"train.lanes=40"}, "train.global_batch: ", "not divisible by lanes (40)"},
      {{"train.precision=BF16"}, "train.precision: ", "BF16"},
      {{"train.precision=TF32"}, "train.precision: ", "TF32"},
      {{"train.device=GPU"}, "train.device: ", "GPU"},
      {{"train.early_stopping="}, "train.early_stopping.patience: ", "missing"},
      {{"optimizer.learning_rate=0"}, "optimizer.learning_rate", ""},
      {{"optimizer.sgd.momentum=1"}, "optimizer.sgd.momentum", ""},
      {{"optimizer.schedule.cosine.final_factor=2"}, "optimizer.schedule", ""},
  };
  for (const Rejection& rejection : rejections) {
    const std::string error = UsageErrorOf([&] { ResolvedRecipe(rejection.settings); });
    EXPECT_THAT(error, AllOf(StartsWith(rejection.field), HasSubstr(rejection.says))) << rejection.settings.front();
  }
}

TEST(ResolveRecipe, NamesWhatIsMissing) {
  const auto error_without = [](const std::function<void(Recipe&)>& remove) {
    return UsageErrorOf([&] {
      Recipe recipe = SmallRecipe();
      remove(recipe);
      ResolveRecipe(recipe);
    });
  };
  EXPECT_THAT(error_without([](Recipe& recipe) { recipe.clear_model(); }), StartsWith("model: is missing"));
  EXPECT_THAT(error_without([](Recipe& recipe) { recipe.clear_data(); }), StartsWith("data.train: is missing"));
  EXPECT_THAT(error_without([](Recipe& recipe) { recipe.clear_train(); }),
              StartsWith("train: needs either epochs or steps"));
  EXPECT_THAT(error_without([](Recipe& recipe) {
                recipe.mutable_train()->set_epochs(2);
                recipe.mutable_train()->set_steps(3);
              }),
              StartsWith("train.steps: is given beside train.epochs"));
  EXPECT_THAT(error_without([](Recipe& recipe) { recipe.clear_optimizer(); }), StartsWith("optimizer"));
}

TEST(ResolveRecipe, RefusesAnInstructionSetThatIsNotHere) {
  if (DetectIsa() == Isa::kAmx) GTEST_SKIP() << "this machine has them all";
  EXPECT_THAT(UsageErrorOf([] { ResolvedRecipe({"train.isa=AMX"}); }),
              AllOf(StartsWith("train.isa: AMX"), HasSubstr(Name(DetectIsa()))));
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
  return UsageErrorOf([&] { CheckContinues(ResolvedRecipe(before), ResolvedRecipe(now), /*change_numerics=*/false); });
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

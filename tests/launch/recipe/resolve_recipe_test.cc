// What a resolved recipe holds, and which recipes are refused.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "base/machine/cpu_info.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
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

}  // namespace
}  // namespace lockstep::launch

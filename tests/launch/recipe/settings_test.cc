// What --set replaces, and how its values are written.
#include "launch/recipe/settings.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Recipe With(const std::string& text, const std::vector<std::string>& settings) {
  return ParseRecipe(text, "r.textproto", "/recipes", settings);
}

std::string SettingError(const std::string& setting) {
  return UsageErrorOf([&] { SmallRecipe({setting}); });
}

TEST(SettingsReplace, OfTwoFieldsThatExcludeEachOtherTheOther) {
  const Recipe by_steps = SmallRecipe({"train.steps=30"});
  EXPECT_EQ(by_steps.train().steps(), 30u);
  EXPECT_EQ(by_steps.train().epochs(), 0);
  EXPECT_EQ(SmallRecipe({"train.steps=30", "train.epochs=2"}).train().steps(), 0u) << "the last one counts";
  EXPECT_EQ(SmallRecipe({"train.steps=30", "train.epochs=0"}).train().steps(), 30u) << "a zero replaces nothing";
  EXPECT_EQ(SmallRecipe({"train.batch_tokens=64"}).train().global_batch(), 0u);
  const Recipe shaped = SmallRecipe({"data.train.synthetic.image.height=4"});
  EXPECT_EQ(shaped.data().train().synthetic().features(), 0u);
  EXPECT_EQ(SmallRecipe({"data.train.synthetic=samples: 7 tokens: 9"}).data().train().synthetic().features(), 0u);
  EXPECT_EQ(SmallRecipe({"train=steps: 30"}).train().epochs(), 0);
}

TEST(SettingsReplace, AnAlternativeOfTheSchema) {
  const Recipe recipe = SmallRecipe({"data.train.csv.file=/a.csv"});
  EXPECT_FALSE(recipe.data().train().has_synthetic());
  EXPECT_EQ(
      SmallRecipe({"data.tokenizer.bytes=", "data.tokenizer.tokenizer_json=/t.json"}).data().tokenizer().kind_case(),
      data::TokenizerConfig::kTokenizerJson);
}

constexpr char kScheduled[] =
    "optimizer { sgd {} learning_rate: 1 schedule { step { every_steps: 9 factor: 0.5 } warmup_fraction: 0.2 } }";

TEST(SettingsReplace, AScheduleWhole) {
  const Recipe constant = With(kScheduled, {"optimizer.schedule=constant {}"});
  EXPECT_TRUE(constant.optimizer().schedule().has_constant());
  EXPECT_EQ(constant.optimizer().schedule().warmup_fraction(), 0) << "not merged with the one before";
  EXPECT_EQ(constant.optimizer().learning_rate(), 1);
  const Recipe step = With(kScheduled, {"optimizer.schedule=step { every_epochs: 2 }"});
  EXPECT_EQ(step.optimizer().schedule().step().every_steps(), 0u);
  EXPECT_FALSE(step.optimizer().schedule().step().has_factor());
  // A part of a recipe is no value: what it is said to hold is replaced, the rest stays.
  const Recipe part = With(kScheduled, {"optimizer=schedule { cosine {} }"});
  EXPECT_TRUE(part.optimizer().schedule().has_cosine());
  EXPECT_EQ(part.optimizer().schedule().warmup_fraction(), 0);
  EXPECT_EQ(part.optimizer().learning_rate(), 1);
}

TEST(SettingsReplace, OneFieldOfAScheduleByItsPath) {
  const Recipe recipe = With(kScheduled, {"optimizer.schedule.step.every_epochs=2"});
  EXPECT_EQ(recipe.optimizer().schedule().step().every_steps(), 0u);
  EXPECT_EQ(recipe.optimizer().schedule().step().factor(), 0.5);
  EXPECT_EQ(With(kScheduled, {"optimizer.schedule.warmup_steps=5"}).optimizer().schedule().warmup_fraction(), 0);
}

TEST(SettingsValues, ListsAreWrittenWithBracketsOrWithout) {
  for (const std::string list : {"8,9", "[8,9]", "[8, 9]", "8, 9"})
    EXPECT_THAT(SmallRecipe({"model.mlp.hidden=" + list}).model().mlp().hidden(), ElementsAre(8, 9)) << list;
  EXPECT_THAT(SmallRecipe({"model.mlp.hidden=[8]"}).model().mlp().hidden(), ElementsAre(8));
  for (const std::string list : {"", "[]", "[ ]"})
    EXPECT_THAT(SmallRecipe({"model.mlp.hidden=" + list}).model().mlp().hidden(), IsEmpty()) << list;
  const Recipe groups = SmallRecipe({"optimizer.groups=[{ pattern: \"a,*\" }, { pattern: \"b\" frozen: true }]"});
  ASSERT_EQ(groups.optimizer().groups_size(), 2);
  EXPECT_EQ(groups.optimizer().groups(0).pattern(), "a,*");
}

std::vector<std::string> Files(const std::string& value) {
  const Recipe recipe = SmallRecipe({"data.train.cifar.files=" + value});
  const auto& files = recipe.data().train().cifar().files();
  return {files.begin(), files.end()};
}

TEST(SettingsValues, ItemsWithCommasAreQuoted) {
  EXPECT_THAT(Files("/a.bin,/b.bin"), ElementsAre("/a.bin", "/b.bin"));
  EXPECT_THAT(Files("[/a.bin, /b.bin]"), ElementsAre("/a.bin", "/b.bin"));
  EXPECT_THAT(Files("[\"/a,b.bin\",\"/c.bin\"]"), ElementsAre("/a,b.bin", "/c.bin"));
  EXPECT_THAT(Files("\"/a,b.bin\",\"/c.bin\""), ElementsAre("/a,b.bin", "/c.bin"));
  EXPECT_THAT(Files("[\"/a,b\\\"c\\\\.bin\"]"), ElementsAre("/a,b\"c\\.bin"));
  EXPECT_THAT(Files("/a\"b,/c"), ElementsAre("/a\"b", "/c")) << "a quote in the middle is a letter";
  EXPECT_THAT(Files("/caf\xe9.bin"), ElementsAre("/caf\xe9.bin")) << "paths are bytes";
}

TEST(SettingsValues, ASeparatorMayBeATab) {
  const auto separator = [](const std::string& value) {
    return SmallRecipe({"data.train.csv.separator=" + value}).data().train().csv().separator();
  };
  EXPECT_EQ(separator("\\t"), "\t");
  EXPECT_EQ(separator("\t"), "\t");
  EXPECT_EQ(separator(","), ",");
  EXPECT_EQ(separator(";"), ";");
  EXPECT_EQ(SmallRecipe({"data.train.csv.file=/\\t"}).data().train().csv().file(), "/\\t") << "a path is a path";
}

TEST(SettingsValues, MayStandApart) {
  EXPECT_EQ(SmallRecipe({"train.seed = 7"}).train().seed(), 7u);
  EXPECT_EQ(SmallRecipe({"name = x y"}).name(), "x y");
  EXPECT_EQ(SmallRecipe({"name= x"}).name(), " x") << "what is not asked for is not taken away";
}

TEST(SettingsValues, MessagesAreWrittenWithBracesOrWithout) {
  EXPECT_TRUE(SmallRecipe({"optimizer.schedule=cosine {}"}).optimizer().schedule().has_cosine());
  EXPECT_TRUE(SmallRecipe({"optimizer.schedule={ cosine {} }"}).optimizer().schedule().has_cosine());
  EXPECT_TRUE(SmallRecipe({"optimizer.schedule.cosine={}"}).optimizer().schedule().has_cosine());
}

TEST(SettingsSuggest, WhatIsMeant) {
  EXPECT_THAT(SettingError("train.epoch=5"),
              AllOf(HasSubstr("there is no field \"epoch\""), HasSubstr("did you mean train.epochs?")));
  EXPECT_THAT(SettingError("lr=5"), HasSubstr("did you mean optimizer.learning_rate?"));
  EXPECT_THAT(SettingError("model.hidden=5"), HasSubstr("did you mean model.mlp.hidden?"));
  EXPECT_THAT(SettingError("train.device=cuda"),
              AllOf(HasSubstr("device can't be \"cuda\" (did you mean GPU?"), testing::Not(HasSubstr("enumeration"))));
  EXPECT_THAT(SettingError("model=mlp { hiden: 3 }"),
              AllOf(HasSubstr("model.mlp has no field \"hiden\""), HasSubstr("did you mean hidden?")));
}

}  // namespace
}  // namespace lockstep::launch

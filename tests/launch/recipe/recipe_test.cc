// Reading recipes: text, settings, paths.
#include "launch/recipe/recipe.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string ParseError(const std::string& text) {
  return UsageErrorOf([&] { ParseRecipe(text, "my.textproto", ".", {}); });
}

TEST(ParseRecipe, AnUnknownFieldIsNamedWithFileLineAndColumn) {
  EXPECT_THAT(ParseError("name: \"x\"\ntrain {\n  epoks: 5\n}\n"),
              AllOf(StartsWith("my.textproto:3:8: "), HasSubstr("epoks")));
}

TEST(ParseRecipe, OtherMistakesHaveTheirPlaceToo) {
  EXPECT_THAT(ParseError("train {\n  epochs: many\n}\n"), StartsWith("my.textproto:2:"));
  EXPECT_THAT(ParseError("train {\n  precision: F33 }\n"), AllOf(StartsWith("my.textproto:2:"), HasSubstr("F33")));
  EXPECT_THAT(ParseError("name: \"x\"\ntrain {\n"), StartsWith("my.textproto:3:"));
  EXPECT_THAT(ParseError("train { seed: -1 }"), StartsWith("my.textproto:1:"));
}

TEST(ParseRecipe, IsNamedAfterItsFileUnlessItSaysOtherwise) {
  EXPECT_EQ(ParseRecipe("", "folder/my.textproto", ".", {}).name(), "my");
  EXPECT_EQ(ParseRecipe("name: \"x\"", "folder/my.textproto", ".", {}).name(), "x");
}

TEST(ReadRecipe, SaysWhatCannotBeRead) {
  EXPECT_THAT(UsageErrorOf([] { ReadRecipe("/nowhere/my.textproto", {}); }),
              AllOf(HasSubstr("/nowhere/my.textproto"), HasSubstr("No such file")));
  EXPECT_THAT(UsageErrorOf([] { ReadRecipe("/tmp", {}); }), HasSubstr("can't be read"));
}

TEST(Settings, SetFieldsOfEveryType) {
  const Recipe recipe =
      SmallRecipe({"train.seed=18446744073709551615", "train.epochs=0.5", "name=x y", "train.device=GPU",
                   "optimizer.sgd.nesterov=true", "optimizer.sgd.momentum=9e-1", "data.train.skip=3"});
  EXPECT_EQ(recipe.train().seed(), 18446744073709551615u);
  EXPECT_EQ(recipe.train().epochs(), 0.5);
  EXPECT_EQ(recipe.name(), "x y");
  EXPECT_EQ(recipe.train().device(), plan::Device::GPU);
  EXPECT_TRUE(recipe.optimizer().sgd().nesterov());
  EXPECT_EQ(recipe.optimizer().sgd().momentum(), 0.9);
  EXPECT_EQ(recipe.data().train().skip(), 3u);
}

TEST(Settings, StringsNeedNoQuotesAndKeepTheirs) {
  EXPECT_EQ(SmallRecipe({"name="}).name(), "small");  // named after the file
  EXPECT_EQ(SmallRecipe({"name=a\"b\\c=d"}).name(), "a\"b\\c=d");
  EXPECT_EQ(SmallRecipe({"name=\"quoted\""}).name(), "\"quoted\"");
}

TEST(Settings, ReplaceLists) {
  const Recipe recipe = SmallRecipe({"model.mlp.hidden=5,6,7", "data.normalize.mean=0.25"});
  EXPECT_THAT(recipe.model().mlp().hidden(), testing::ElementsAre(5, 6, 7));
  EXPECT_THAT(recipe.data().normalize().mean(), testing::ElementsAre(0.25));
}

TEST(Settings, MergeMessages) {
  const Recipe recipe = SmallRecipe({"train=seed: 7 lanes: 4", "optimizer.groups=pattern: \"a.*\" frozen: true"});
  EXPECT_EQ(recipe.train().seed(), 7u);
  EXPECT_EQ(recipe.train().lanes(), 4u);
  EXPECT_EQ(recipe.train().global_batch(), 20u);  // stays
  ASSERT_EQ(recipe.optimizer().groups_size(), 1);
  EXPECT_EQ(recipe.optimizer().groups(0).pattern(), "a.*");
}

TEST(Settings, SwitchBetweenAlternatives) {
  EXPECT_EQ(SmallRecipe({"optimizer.adamw.beta1=0.8"}).optimizer().rule_case(), optim::OptimizerConfig::kAdamw);
  const Recipe recipe = SmallRecipe({"model.resnet=depth: 8", "model.resnet.widths=4,8,16"});
  EXPECT_EQ(recipe.model().family_case(), models::ModelConfig::kResnet);
  EXPECT_EQ(recipe.model().resnet().depth(), 8u);
  EXPECT_EQ(recipe.model().resnet().widths_size(), 3);
  EXPECT_THAT(UsageErrorOf([] { SmallRecipe({"model=mlp {} resnet {}"}); }), HasSubstr("--set model"));
}

TEST(Settings, ApplyInOrder) { EXPECT_EQ(SmallRecipe({"train.seed=1", "train.seed=2"}).train().seed(), 2u); }

std::string SettingError(const std::string& setting) {
  return UsageErrorOf([&] { SmallRecipe({setting}); });
}

TEST(Settings, AnUnknownPathListsWhatIsKnownThere) {
  EXPECT_THAT(SettingError("train.epoks=5"), AllOf(StartsWith("--set train.epoks=5: "), HasSubstr("\"epoks\""),
                                                   HasSubstr("epochs, steps, global_batch")));
  EXPECT_THAT(SettingError("trains.epochs=5"), HasSubstr("name, model, data, train, optimizer, checkpoint"));
}

TEST(Settings, RejectWhatIsNoSetting) {
  EXPECT_THAT(SettingError("train.epochs"), HasSubstr("PATH=VALUE"));
  EXPECT_THAT(SettingError("=5"), HasSubstr("PATH=VALUE"));
  EXPECT_THAT(SettingError("."), HasSubstr("PATH=VALUE"));
  EXPECT_THAT(SettingError(".=5"), StartsWith("--set .=5: "));
  EXPECT_THAT(SettingError("train..seed=5"), HasSubstr("there is no field \"\""));
  EXPECT_THAT(SettingError("train.seed.x=5"), HasSubstr("seed has no fields"));
  EXPECT_THAT(SettingError("optimizer.groups.pattern=x"), HasSubstr("groups has no fields"));
}

TEST(Settings, AValueThatDoesNotFitIsQuoted) {
  EXPECT_THAT(SettingError("train.seed=many"), AllOf(HasSubstr("seed can't be \"many\""), HasSubstr("integer")));
  EXPECT_THAT(SettingError("train.seed=-1"), HasSubstr("seed can't be \"-1\""));
  EXPECT_THAT(SettingError("train.device=TPU"), HasSubstr("TPU"));
  EXPECT_THAT(SettingError("train.seed=1 steps: 3"), HasSubstr("seed can't be"));
  EXPECT_THAT(SettingError("train.seed="), HasSubstr("seed can't be \"\""));
}

class Paths : public testing::Test {
 protected:
  Paths() {
    if (const char* before = std::getenv("LOCKSTEP_DATA")) before_ = before;
    unsetenv("LOCKSTEP_DATA");
  }
  ~Paths() override {
    if (before_)
      setenv("LOCKSTEP_DATA", before_->c_str(), 1);
    else
      unsetenv("LOCKSTEP_DATA");
  }
  static std::string CsvOf(const std::string& file, const std::vector<std::string>& settings = {}) {
    return ParseRecipe("data { train { csv { file: \"" + file + "\" } } }", "x", "/recipes/here", settings)
        .data()
        .train()
        .csv()
        .file();
  }

  std::optional<std::string> before_;
};

TEST_F(Paths, StartAtTheRecipesFolder) {
  EXPECT_EQ(CsvOf("a.csv"), "/recipes/here/a.csv");
  EXPECT_EQ(CsvOf("../a.csv"), "/recipes/a.csv");
  EXPECT_EQ(CsvOf("/data/a.csv"), "/data/a.csv");
}

TEST_F(Paths, OfSettingsStartAtTheWorkingDirectory) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(CsvOf("a.csv", {"data.train.csv.file=b.csv"}), here + "/b.csv");
  EXPECT_EQ(CsvOf("a.csv", {"data.train.csv.file=/b.csv"}), "/b.csv");
  // The others stay the recipe's.
  const Recipe recipe =
      ParseRecipe("data { train { csv { file: \"a.csv\" } } }", "x", "/recipes", {"data.test.csv.file=b.csv"});
  EXPECT_EQ(recipe.data().train().csv().file(), "/recipes/a.csv");
  EXPECT_EQ(recipe.data().test().csv().file(), here + "/b.csv");
}

TEST_F(Paths, OfListsAndOfInitialWeightsAreResolved) {
  const Recipe recipe = ParseRecipe(
      "data { train { cifar { files: \"a\" files: \"/b\" } } test { idx { images: \"c\" labels: \"d\" } } } train { "
      "init_from: \"e\" }",
      "x", "/r", {});
  EXPECT_THAT(recipe.data().train().cifar().files(), testing::ElementsAre("/r/a", "/b"));
  EXPECT_EQ(recipe.data().test().idx().images(), "/r/c");
  EXPECT_EQ(recipe.data().test().idx().labels(), "/r/d");
  EXPECT_EQ(recipe.train().init_from(), "/r/e");
}

TEST_F(Paths, MayBeginWithTheDataFolder) {
  setenv("LOCKSTEP_DATA", "/sets", 1);
  EXPECT_EQ(CsvOf("$LOCKSTEP_DATA/a.csv"), "/sets/a.csv");
  setenv("LOCKSTEP_DATA", "sets/", 1);
  EXPECT_EQ(std::filesystem::path(CsvOf("$LOCKSTEP_DATA/a.csv")).lexically_normal(),
            std::filesystem::current_path() / "sets/a.csv");
}

TEST_F(Paths, SayThatTheDataFolderIsNotSet) {
  EXPECT_THAT(UsageErrorOf([] { CsvOf("$LOCKSTEP_DATA/a.csv"); }),
              AllOf(StartsWith("data.train.csv.file: "), HasSubstr("LOCKSTEP_DATA"), HasSubstr("export")));
  setenv("LOCKSTEP_DATA", "", 1);
  EXPECT_THAT(UsageErrorOf([] { CsvOf("$LOCKSTEP_DATA/a.csv"); }), HasSubstr("not set"));
}

TEST(ToText, IsReadBackAsItWas) {
  const Recipe recipe = ResolvedRecipe({"model.mlp.dropout=0.1", "optimizer.adam.epsilon=1e-9",
                                        "data.normalize.mean=0.1,0.3333333333333333", "name=a\"b\\c\xc3\xa9",
                                        "optimizer.schedule.cosine=", "optimizer.groups=pattern: \"*.bias\""});
  const Recipe again = ParseRecipe(ToText(recipe), "other", "/elsewhere", {});
  EXPECT_TRUE(MessageDifferencer::Equals(recipe, again)) << ToText(recipe) << ToText(again);
}

}  // namespace
}  // namespace lockstep::launch

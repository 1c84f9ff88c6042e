// What is said of recipes that are no recipes.
#include "launch/recipe/text_error.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"
#include "tests/launch/recipe/recipe_world.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string ErrorOfText(const std::string& text) {
  return UsageErrorOf([&] { ParseRecipe(text, "r", ".", {}); });
}

TEST(PathAt, FollowsMessagesListsAndComments) {
  const std::string text =
      "# { not this\nmodel { layers { layer { linear {} }\n layer: [ { conv < >\n } ] } }\ntrain { seed: 1 }\n";
  EXPECT_EQ(PathAt(text, 1, 1), "");
  EXPECT_EQ(PathAt(text, 2, 9), "model");
  EXPECT_EQ(PathAt(text, 2, 34), "model.layers.layer.linear");
  EXPECT_EQ(PathAt(text, 3, 19), "model.layers.layer.conv");
  EXPECT_EQ(PathAt(text, 4, 2), "model.layers.layer");
  EXPECT_EQ(PathAt(text, 5, 9), "train");
  EXPECT_EQ(PathAt("data { train { csv { file: \"}}}\" x", 1, 34), "data.train.csv") << "braces in strings";
}

TEST(TextError, AnUnknownFieldSuggestsTheNearest) {
  EXPECT_THAT(ErrorOfText("train { epoch: 5 }"),
              AllOf(StartsWith("r:1:14: train has no field \"epoch\""), HasSubstr("did you mean epochs?"),
                    HasSubstr("see lockstep help recipe train")));
  EXPECT_THAT(ErrorOfText("model { mlp { hiden: 5 } }"),
              AllOf(HasSubstr("model.mlp has no field \"hiden\""), HasSubstr("did you mean hidden?")));
  EXPECT_THAT(ErrorOfText("optimizer { lr: 5 }"), HasSubstr("did you mean learning_rate?"));
  EXPECT_THAT(ErrorOfText("trian { epochs: 5 }"),
              AllOf(HasSubstr("the recipe has no field \"trian\""), HasSubstr("did you mean train?")));
}

TEST(TextError, AFieldThatLiesElsewhereIsNamedWithItsPath) {
  EXPECT_THAT(ErrorOfText("train { weight_decay: 5 }"), HasSubstr("did you mean optimizer.weight_decay?"));
  EXPECT_THAT(ErrorOfText("batch_size: 32"), HasSubstr("did you mean train.global_batch?"));
  EXPECT_THAT(ErrorOfText("model { dropout: 0.1 gpt { layers: 1 } }"), HasSubstr("did you mean model.gpt.dropout?"));
}

TEST(TextError, WhereNothingIsNearWhatIsKnownIsListed) {
  EXPECT_THAT(ErrorOfText("watchdog { frobnicate: 5 }"),
              AllOf(HasSubstr("known here: timeout_seconds, straggler_factor"), Not(HasSubstr("did you mean"))));
}

TEST(TextError, ValuesOfEnumsAreSuggestedToo) {
  EXPECT_THAT(ErrorOfText("train { device: cuda }"),
              AllOf(HasSubstr("train.device can't be \"cuda\""), HasSubstr("did you mean GPU?")));
  EXPECT_THAT(ErrorOfText("model { mlp { activation: relu } }"), HasSubstr("did you mean RELU?"));
  EXPECT_THAT(ErrorOfText("train { device: ABACUS }"), HasSubstr("one of AUTO, CPU, GPU"));
}

TEST(TextError, AnEqualSignIsNoColon) {
  EXPECT_THAT(ErrorOfText("train { epochs = 5 }"), HasSubstr("separated by \":\""));
}

std::string ErrorOfPath(const std::string& path) {
  return UsageErrorOf([&] { ReadRecipe(path, {}); });
}

TEST(NoRecipe, SaysWhatAFolderIs) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name, const std::vector<std::string>& files) {
    std::filesystem::create_directories(folder / name);
    for (const std::string& file : files) std::ofstream((folder / name) + "/" + file) << "x";
    return folder / name;
  };
  const std::string run = make("run", {"recipe.textproto", "attempts.jsonl"});
  EXPECT_THAT(ErrorOfPath(run), AllOf(HasSubstr("the folder of a run"),
                                      HasSubstr("lockstep train " + run + "/recipe.textproto --out " + run)));
  EXPECT_THAT(ErrorOfPath(make("step", {checkpoint::kManifestName})),
              AllOf(HasSubstr("a checkpoint"), HasSubstr("train.init_from")));
  EXPECT_THAT(ErrorOfPath(make("gpt2", {"config.json", "model.safetensors"})),
              AllOf(HasSubstr("Hugging Face"), HasSubstr("init_from")));
  EXPECT_THAT(ErrorOfPath(make("recipes", {"a.textproto", "b.csv"})),
              AllOf(HasSubstr("a folder with a.textproto, b.csv"), HasSubstr("/recipes/a.textproto")));
  EXPECT_THAT(ErrorOfPath(make("data", {"1.png", "2.png", "3.png", "4.png", "5.png"})),
              AllOf(HasSubstr("a folder with 1.png, 2.png, 3.png and 2 more"), HasSubstr("data { train {")));
  EXPECT_THAT(ErrorOfPath(make("nothing", {})), HasSubstr("an empty folder"));
}

TEST(NoRecipe, SaysWhatAFileIs) {
  const TemporaryFolder folder;
  std::ofstream(folder / "empty.textproto");
  std::ofstream(folder / "digits.textproto") << "name: \"x\"";
  std::ofstream(folder / "weights") << std::string("\0\1\2", 3);
  EXPECT_THAT(ErrorOfPath(folder / "empty.textproto"), HasSubstr("it is empty"));
  EXPECT_THAT(ErrorOfPath(folder / "weights"), HasSubstr("it is no text"));
  EXPECT_THAT(ErrorOfPath(folder / "digit.textproto"),
              AllOf(HasSubstr("No such file"), HasSubstr("did you mean " + (folder / "digits.textproto"))));
}

}  // namespace
}  // namespace lockstep::launch

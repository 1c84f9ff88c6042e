#include "launch/report/recipe_differences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/recipe/recipe.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;

std::vector<std::string> Differences(const std::vector<std::string>& texts) {
  std::vector<Recipe> recipes;
  for (const std::string& text : texts) recipes.push_back(ParseRecipe(text, "recipe", "/", {}));
  std::vector<const google::protobuf::Message*> messages;
  for (const Recipe& recipe : recipes) messages.push_back(&recipe);
  std::vector<std::string> lines;
  for (const FieldDifference& difference : CompareFields(messages)) {
    std::string line = difference.field;
    for (const std::string& value : difference.values) line += " | " + value;
    lines.push_back(line);
  }
  return lines;
}

TEST(CompareFields, NamesWhatDiffersAlone) {
  EXPECT_THAT(Differences({"name: \"a\" train { steps: 5 seed: 1 } model { mlp { hidden: 8 hidden: 4 } }",
                           "name: \"b\" train { steps: 5 seed: 2 } model { mlp { hidden: 8 } }"}),
              ElementsAre("model.mlp.hidden | 8, 4 | 8", "train.seed | 1 | 2"));
}

TEST(CompareFields, AMessageThatSomeLackIsOneField) {
  EXPECT_THAT(Differences({"optimizer { adam { beta1: 0.5 } }", "optimizer { sgd { momentum: 0.75 } }",
                           "optimizer { adam { beta1: 0.5 } }"}),
              ElementsAre("optimizer.sgd |  | momentum: 0.75 | ", "optimizer.adam | beta1: 0.5 |  | beta1: 0.5"));
}

TEST(CompareFields, OfEqualOnesAndOfOneThereAreNone) {
  EXPECT_THAT(Differences({"train { steps: 5 }", "train { steps: 5 }"}), ElementsAre());
  EXPECT_THAT(Differences({"train { steps: 5 }"}), ElementsAre());
}

TEST(Cut, LeavesCharactersWhole) {
  EXPECT_EQ(Cut("short", 5), "short");
  EXPECT_EQ(Cut("longer than that", 9), "longer...");
  EXPECT_EQ(Cut("äöüäöü", 8), "äö...");
}

}  // namespace
}  // namespace lockstep::launch

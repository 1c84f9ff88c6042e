// What is meant by words that are not there.
#include "launch/recipe/suggestions.h"

#include <gmock/gmock.h>

#include "launch/recipe/other_names.h"
#include "launch/recipe/recipe_fields.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(EditDistance, CountsLettersThatDiffer) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("epoch", "epochs"), 1);
  EXPECT_EQ(EditDistance("hiden", "hidden"), 1);
  EXPECT_EQ(EditDistance("trian", "train"), 1) << "neighbours that are swapped are one mistake";
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(Nearest, FindsWhatIsMisspelled) {
  const std::vector<std::string> commands = {"train", "run", "status", "tokenize", "tokenizer"};
  EXPECT_EQ(Nearest("trian", commands), "train");
  EXPECT_EQ(Nearest("STATUS", commands), "status");
  EXPECT_EQ(Nearest("stauts", commands), "status");
  EXPECT_EQ(Nearest("token", commands), "tokenize") << "the beginning of a word";
  EXPECT_EQ(Nearest("frobnicate", commands), "");
  EXPECT_EQ(Nearest("x", commands), "");
  EXPECT_EQ(Nearest("", commands), "");
  EXPECT_EQ(Nearest("--accept_build", {"--accept-build"}), "--accept-build");
}

TEST(FieldsMeantBy, KnowsOtherFrameworksWords) {
  EXPECT_THAT(FieldsMeantBy("lr"), ElementsAre("optimizer.learning_rate"));
  EXPECT_THAT(FieldsMeantBy("batch_size", "train"), ElementsAre("train.global_batch"));
  EXPECT_THAT(FieldsMeantBy("num-epochs"), ElementsAre("train.epochs"));
  EXPECT_THAT(FieldsMeantBy("max_steps"), ElementsAre("train.steps"));
  EXPECT_THAT(FieldsMeantBy("n_head", "model.gpt"), ElementsAre("model.gpt.heads"));
  EXPECT_THAT(FieldsMeantBy("hidden_size", "model.gpt"), ElementsAre("model.gpt.width"));
}

TEST(FieldsMeantBy, PrefersWhatLiesBeside) {
  EXPECT_THAT(FieldsMeantBy("epoch", "train"), ElementsAre("train.epochs"));
  EXPECT_THAT(FieldsMeantBy("step", "train"), ElementsAre("train.steps"));
  EXPECT_THAT(FieldsMeantBy("hiden", "model.mlp"), ElementsAre("model.mlp.hidden"));
  EXPECT_THAT(FieldsMeantBy("chanels", "model.layers.layer.conv"), ElementsAre("model.layers.layer.conv.channels"));
}

TEST(FieldsMeantBy, FindsFieldsThatLieElsewhere) {
  EXPECT_THAT(FieldsMeantBy("weight_decay", "train"), ElementsAre("optimizer.weight_decay"));
  EXPECT_THAT(FieldsMeantBy("learning_rat"), ElementsAre("optimizer.learning_rate"));
  EXPECT_THAT(FieldsMeantBy("csv", "data"), Contains("data.train.csv"));
  EXPECT_THAT(FieldsMeantBy("frobnicate", "train"), IsEmpty());
}

TEST(FieldsMeantBy, OfSeveralModelsMeansTheRecipes) {
  Recipe recipe;
  recipe.mutable_model()->mutable_gpt();
  EXPECT_THAT(FieldsMeantBy("dropout", "model", recipe), ElementsAre("model.gpt.dropout"));
  EXPECT_THAT(FieldsMeantBy("dropout", "model"), testing::SizeIs(3));
}

TEST(OtherNames, LeadToFieldsThatExist) {
  std::vector<std::string> paths;
  for (const FieldPath& path : AllFieldPaths(*Recipe::descriptor())) paths.push_back(path.path);
  for (const std::string& path : AllOfOtherNames()) EXPECT_THAT(paths, Contains(path));
}

TEST(ValueMeantBy, KnowsSpellingsAndOtherNames) {
  const std::vector<std::string> devices = {"AUTO", "CPU", "GPU"}, precisions = {"AUTO", "F32", "BF16", "TF32"};
  EXPECT_EQ(ValueMeantBy("gpu", devices), "GPU");
  EXPECT_EQ(ValueMeantBy("cuda", devices), "GPU");
  EXPECT_EQ(ValueMeantBy("float32", precisions), "F32");
  EXPECT_EQ(ValueMeantBy("bfloat16", precisions), "BF16");
  EXPECT_EQ(ValueMeantBy("TPU2", devices), "");
}

TEST(DidYouMean, ListsWhatMayBeMeant) {
  EXPECT_EQ(DidYouMean(std::vector<std::string>{}), "");
  EXPECT_EQ(DidYouMean("a"), "did you mean a?");
  EXPECT_EQ(DidYouMean(std::vector<std::string>{"a", "b"}), "did you mean a or b?");
  EXPECT_EQ(DidYouMean(std::vector<std::string>{"a", "b", "c"}), "did you mean a, b or c?");
}

}  // namespace
}  // namespace lockstep::launch

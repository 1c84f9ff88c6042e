// What the fields of a recipe say of themselves in the .proto files.
#include "launch/recipe/recipe_fields.h"

#include <gmock/gmock.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "comm/watchdog.pb.h"
#include "launch/recipe/recipe.pb.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;
using testing::Contains;
using testing::IsEmpty;

bool HoldsMessage(const pb::FieldDescriptor& field) { return field.message_type() != nullptr; }

/// Calls `visit` on each field that a message of this kind may hold, and on theirs, but for those that lie in a field
/// of which it is said that it decides nothing.
void ForEachField(const pb::Descriptor& message, const std::function<void(const pb::FieldDescriptor&)>& visit,
                  std::set<const pb::Descriptor*>& seen) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    visit(field);
    if (HoldsMessage(field) && BitsOf(field) != Bits::NOTHING) ForEachField(*field.message_type(), visit, seen);
  }
}

std::vector<std::string> FieldsOf(const pb::Descriptor& message,
                                  const std::function<bool(const pb::FieldDescriptor&)>& condition) {
  std::vector<std::string> names;
  std::set<const pb::Descriptor*> seen;
  ForEachField(
      message,
      [&](const pb::FieldDescriptor& field) {
        if (condition(field)) names.push_back(field.full_name());
      },
      seen);
  return names;
}

bool IsUnsaid(const pb::FieldDescriptor& field) { return !HoldsMessage(field) && BitsOf(field) == Bits::UNSAID; }

TEST(RecipeFields, EachSaysWhetherItDecidesBits) {
  EXPECT_THAT(FieldsOf(*Recipe::descriptor(), IsUnsaid), IsEmpty())
      << "say it in the .proto, behind the field: [(bits) = DECIDES], or what else base/recipe_field.proto knows";
}

TEST(RecipeFields, OneThatDoesNotSayItIsFound) {
  // It stands in recipes where all decides nothing, and so without such words.
  EXPECT_THAT(FieldsOf(*comm::WatchdogConfig::descriptor(), IsUnsaid),
              Contains("lockstep.comm.WatchdogConfig.timeout_seconds"));
}

TEST(RecipeFields, OfThoseThatHoldFieldsOnlyWhatDecidesNothingIsSaid) {
  EXPECT_THAT(FieldsOf(*Recipe::descriptor(),
                       [](const pb::FieldDescriptor& field) {
                         return HoldsMessage(field) && BitsOf(field) != Bits::UNSAID && BitsOf(field) != Bits::NOTHING;
                       }),
              IsEmpty())
      << "each of their own fields says it";
}

TEST(RecipeFields, PathsAreTextAndDecideNothingThemselves) {
  const auto is_path = [](const pb::FieldDescriptor& field) { return IsPath(field); };
  EXPECT_THAT(FieldsOf(*Recipe::descriptor(), is_path),
              testing::IsSupersetOf({"lockstep.data.Csv.file", "lockstep.plan.TrainConfig.init_from"}));
  EXPECT_THAT(FieldsOf(*Recipe::descriptor(),
                       [](const pb::FieldDescriptor& field) {
                         return IsPath(field) && (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING ||
                                                  BitsOf(field) != Bits::DATA);
                       }),
              IsEmpty());
}

TEST(RecipeFields, AreFoundByTheirPaths) {
  EXPECT_EQ(BitsOf("train.lanes"), Bits::NUMERICS);
  EXPECT_EQ(BitsOf("optimizer.sgd.momentum"), Bits::DECIDES);
  EXPECT_EQ(BitsOf("data.train.csv.file"), Bits::DATA);
  EXPECT_EQ(BitsOf("name"), Bits::NOTHING);
  for (const char* path : {"", "model", "train.lane", "train.lanes.x"}) EXPECT_EQ(BitsOf(path), Bits::UNSAID) << path;
}

TEST(VisitFields, DoesNotBringBackWhatWasCleared) {
  Recipe recipe;
  recipe.mutable_checkpoint()->set_keep(3);
  recipe.mutable_train()->set_seed(1);
  std::vector<std::string> paths;
  VisitFields(recipe, "", [&](pb::Message& message, const pb::FieldDescriptor& field, const std::string& path) {
    paths.push_back(path);
    if (path == "checkpoint") message.GetReflection()->ClearField(&message, &field);
  });
  EXPECT_THAT(paths, testing::ElementsAre("train", "train.seed", "checkpoint"));
  EXPECT_FALSE(recipe.has_checkpoint());
}

}  // namespace
}  // namespace lockstep::launch

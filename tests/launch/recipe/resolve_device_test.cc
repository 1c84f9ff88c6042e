// Devices, precisions and instruction sets in recipes: what is chosen where, what is kept, and what a run may change.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "launch/recipe/recipe.h"
#include "launch/recipe/recipe_identity.h"
#include "launch/recipe/resolve_recipe.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/recipe/recipe_world.h"

namespace lockstep::launch {
namespace {

using plan::InstructionSet;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Device = plan::Device;
using Precision = plan::Precision;

const GpuFacts kNoGpu = {.why_none = "the driver shows no GPU"};
const GpuFacts kGpu = {.any = true, .bf16 = true, .why_none = ""};
const GpuFacts kOldGpu = {.any = true, .bf16 = false, .why_none = ""};

Recipe Resolved(const std::vector<std::string>& settings, const GpuFacts& gpus) {
  Recipe recipe = SmallRecipe(settings);
  ResolveRecipe(recipe, gpus);
  return recipe;
}

std::string ResolveError(const std::vector<std::string>& settings, const GpuFacts& gpus) {
  return UsageErrorOf([&] { Resolved(settings, gpus); });
}

struct Choice {
  const GpuFacts* gpus;
  const char* device;
  const char* precision;
  Device::Value device_then;
  Precision::Value precision_then;
};

TEST(ResolveDevice, ChoosesWhatTheMachineHasAndKeepsWhatIsGiven) {
  const Choice choices[] = {
      {&kNoGpu, "AUTO", "AUTO", Device::CPU, Precision::F32}, {&kNoGpu, "CPU", "AUTO", Device::CPU, Precision::F32},
      {&kNoGpu, "AUTO", "F32", Device::CPU, Precision::F32},  {&kGpu, "AUTO", "AUTO", Device::GPU, Precision::BF16},
      {&kGpu, "GPU", "AUTO", Device::GPU, Precision::BF16},   {&kGpu, "CPU", "AUTO", Device::CPU, Precision::F32},
      {&kGpu, "AUTO", "F32", Device::GPU, Precision::F32},    {&kGpu, "AUTO", "TF32", Device::GPU, Precision::TF32},
      {&kGpu, "GPU", "BF16", Device::GPU, Precision::BF16},   {&kOldGpu, "AUTO", "AUTO", Device::GPU, Precision::F32},
      {&kOldGpu, "GPU", "F32", Device::GPU, Precision::F32},
  };
  for (const Choice& choice : choices) {
    const std::string device = std::string("train.device=") + choice.device,
                      precision = std::string("train.precision=") + choice.precision;
    const Recipe recipe = Resolved({device, precision}, *choice.gpus);
    EXPECT_EQ(recipe.train().device(), choice.device_then) << device << " " << precision;
    EXPECT_EQ(recipe.train().precision(), choice.precision_then) << device << " " << precision;
    // Resolving again changes nothing.
    Recipe again = recipe;
    ResolveRecipe(again, *choice.gpus);
    EXPECT_EQ(ToText(again), ToText(recipe));
  }
}

TEST(ResolveDevice, SaysWhyThereIsNoGpuAndWhatToDo) {
  EXPECT_THAT(ResolveError({"train.device=GPU"}, kNoGpu),
              AllOf(StartsWith("train.device: there is no GPU here: the driver shows no GPU"),
                    HasSubstr("--set train.device=CPU")));
}

TEST(ResolveDevice, RefusesPrecisionsThatTheDeviceLacks) {
  for (const std::string precision : {"BF16", "TF32"}) {
    for (const auto& [device, gpus] : {std::pair{"AUTO", kNoGpu}, {"CPU", kNoGpu}, {"CPU", kGpu}}) {
      EXPECT_THAT(ResolveError({std::string("train.device=") + device, "train.precision=" + precision}, gpus),
                  AllOf(StartsWith("train.precision: " + precision + " is not available"), HasSubstr("precision: F32")))
          << device;
    }
  }
  EXPECT_THAT(ResolveError({"train.precision=BF16"}, kOldGpu), StartsWith("train.precision: BF16 is not available"));
}

// --- What a run keeps.

class KeepResolvedTest : public testing::Test {
 protected:
  /// The path of a run's resolved recipe: on a machine with a GPU.
  std::string Write(const std::vector<std::string>& settings = {"train.isa=GENERIC"}, const GpuFacts& gpus = kGpu) {
    return WriteText(ToText(Resolved(settings, gpus)));
  }
  std::string WriteText(const std::string& text) {
    const std::string path = temporary_ / "recipe.textproto";
    std::ofstream(path) << text;
    return path;
  }
  static Recipe Kept(const std::string& path, const std::vector<std::string>& settings = {}) {
    Recipe recipe = SmallRecipe(settings);
    KeepResolved(path, recipe);
    return recipe;
  }

  TemporaryFolder temporary_;
};

TEST_F(KeepResolvedTest, WhatIsLeftOpenIsTakenOver) {
  const Recipe recipe = Kept(Write());
  EXPECT_EQ(recipe.train().device(), Device::GPU);
  EXPECT_EQ(recipe.train().precision(), Precision::BF16);
  EXPECT_EQ(recipe.train().isa(), InstructionSet::GENERIC);
}

TEST_F(KeepResolvedTest, WhatIsGivenStays) {
  const std::string path = Write();
  const Recipe all = Kept(path, {"train.device=CPU", "train.precision=F32", "train.isa=AVX2"});
  EXPECT_EQ(all.train().device(), Device::CPU);
  EXPECT_EQ(all.train().precision(), Precision::F32);
  EXPECT_EQ(all.train().isa(), InstructionSet::AVX2);
  const Recipe one = Kept(path, {"train.precision=TF32"});
  EXPECT_EQ(one.train().device(), Device::GPU);
  EXPECT_EQ(one.train().precision(), Precision::TF32);
}

TEST_F(KeepResolvedTest, NothingElseIsTakenOver) {
  Recipe kept = Kept(Write({"train.isa=GENERIC", "train.seed=9", "train.lanes=4", "train.epochs=7", "name=old"}));
  kept.mutable_train()->clear_device();
  kept.mutable_train()->clear_precision();
  kept.mutable_train()->clear_isa();
  EXPECT_EQ(ToText(kept), ToText(SmallRecipe()));
}

TEST_F(KeepResolvedTest, ARunOfACpuStaysOneWhereThereIsAGpu) {
  Recipe recipe = Kept(Write({}, kNoGpu));
  ResolveRecipe(recipe, kGpu);
  EXPECT_EQ(recipe.train().device(), Device::CPU);
  EXPECT_EQ(recipe.train().precision(), Precision::F32);
}

TEST_F(KeepResolvedTest, ARunOfAGpuIsRefusedWhereThereIsNone) {
  Recipe recipe = Kept(Write());
  EXPECT_THAT(UsageErrorOf([&] { ResolveRecipe(recipe, kNoGpu); }), StartsWith("train.device: there is no GPU here"));
}

TEST_F(KeepResolvedTest, WhatCannotBeReadSaysNothing) {
  const std::string plain = ToText(SmallRecipe());
  EXPECT_EQ(ToText(Kept(temporary_ / "missing.textproto")), plain);
  EXPECT_EQ(ToText(Kept(temporary_ / "no/such/folder/recipe.textproto")), plain);
  std::filesystem::create_directory(temporary_ / "folder.textproto");
  EXPECT_EQ(ToText(Kept(temporary_ / "folder.textproto")), plain);
  EXPECT_EQ(ToText(Kept(WriteText(""))), plain);
  EXPECT_EQ(ToText(Kept(WriteText("train { device: GPU precision: B"))), plain) << "torn";
  EXPECT_EQ(ToText(Kept(WriteText("train { device: TPU precision: BF16 }"))), plain) << "of another version";
}

TEST(ResolveDevice, WhatTheHostsProcessorCanDoIsNoMatterOnAGpu) {
  EXPECT_EQ(Resolved({"train.device=GPU"}, kGpu).train().isa(), InstructionSet::AUTO);
  EXPECT_NE(Resolved({"train.device=CPU"}, kGpu).train().isa(), InstructionSet::AUTO);
}

// --- What a run may change.

std::string ContinueError(const Recipe& before, const Recipe& now, bool change_numerics) {
  return ErrorOf(ErrorKind::kMixed, [&] { CheckContinues(before, now, change_numerics); });
}

TEST(ChangeNumerics, DevicePrecisionInstructionSetAndLanesMayChangeWhenToldTo) {
  const std::vector<std::string> generic = {"train.isa=GENERIC"};
  const Recipe before = Resolved(generic, kNoGpu);
  Recipe other_isa = before;
  other_isa.mutable_train()->set_isa(InstructionSet::AVX2);
  const std::pair<Recipe, const char*> changes[] = {
      {Resolved({"train.isa=GENERIC", "train.device=GPU", "train.precision=F32"}, kGpu), "train.device"},
      {Resolved(generic, kGpu), "train.device"},
      {Resolved(generic, kGpu), "train.precision"},
      {Resolved({"train.isa=GENERIC", "train.lanes=4"}, kNoGpu), "train.lanes"},
      {other_isa, "train.isa"},
  };
  for (const auto& [now, field] : changes) {
    EXPECT_EQ(ContinueError(before, now, true), "no error") << field;
    EXPECT_THAT(ContinueError(before, now, false),
                AllOf(HasSubstr("other numerics"), HasSubstr(field), HasSubstr("--change-numerics")));
    // And back.
    EXPECT_EQ(ContinueError(now, before, true), "no error") << field;
  }
}

TEST(ChangeNumerics, NothingElseMayChange) {
  const Recipe before = Resolved({}, kNoGpu);
  const std::pair<const char*, const char*> changes[] = {{"train.seed=2", "train.seed"},
                                                         {"train.lane_threads=2", "train.lane_threads"},
                                                         {"train.global_batch=40", "train.global_batch"},
                                                         {"optimizer.learning_rate=0.2", "optimizer.learning_rate"},
                                                         {"model.mlp.hidden=17", "model.mlp.hidden"},
                                                         {"train.epochs=1", "train.epochs"}};
  for (const auto& [setting, field] : changes) {
    EXPECT_THAT(ContinueError(before, Resolved({setting}, kGpu), true),
                AllOf(HasSubstr("another recipe"), HasSubstr(field), Not(HasSubstr("train.device")),
                      Not(HasSubstr("--change-numerics"))));
    EXPECT_THAT(ContinueError(before, Resolved({setting}, kGpu), false),
                AllOf(HasSubstr("another recipe"), HasSubstr(field), HasSubstr("train.device")));
  }
}

TEST(ChangeNumerics, ALongerRunMayChangeThemToo) {
  const Recipe before = Resolved({}, kNoGpu);
  EXPECT_EQ(ContinueError(before, Resolved({"train.epochs=4"}, kGpu), true), "no error");
  EXPECT_THAT(ContinueError(before, Resolved({"train.epochs=4"}, kGpu), false),
              AllOf(HasSubstr("other numerics"), Not(HasSubstr("train.epochs"))));
}

TEST(ChangeNumerics, IsNoMatterWhereNothingChanges) {
  EXPECT_EQ(ContinueError(Resolved({}, kGpu), Resolved({}, kGpu), true), "no error");
  EXPECT_EQ(ContinueError(Resolved({}, kGpu), Resolved({}, kGpu), false), "no error");
}

}  // namespace
}  // namespace lockstep::launch

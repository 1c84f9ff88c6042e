// Runs that begin with another's weights.
#include "launch/job/init_from.h"

#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files/atomic_write.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/recipe/recipe_world.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class InitFrom : public testing::Test {
 protected:
  static graph::Graph Model() {
    graph::Builder builder(graph::Mode::kTrain, 2);
    const graph::ValueId x = builder.Input("features", {3}, DType::kF32);
    builder.SoftmaxCrossEntropy(builder.BatchNorm(builder.Linear(x, "fc", 2, true, {}), "norm", 1e-5f, 0.1f, 1), 0);
    return builder.Finish();
  }

  /// What the arena holds at element i of the entry: distinct numbers.
  static float ValueAt(const engine::ArenaEntry& entry, int64_t i) {
    return static_cast<float>(entry.name.size() * 100 + static_cast<size_t>(i));
  }

  std::vector<float> Arena() const {
    std::vector<float> arena(static_cast<size_t>(layout_.elements()));
    for (const engine::ArenaEntry& entry : layout_.entries())
      for (int64_t i = 0; i < entry.size(); ++i) arena[static_cast<size_t>(entry.offset + i)] = ValueAt(entry, i);
    return arena;
  }

  std::string WriteSafetensors(const std::string& name,
                               const std::function<void(checkpoint::NamedTensor&)>& change = {}) {
    const std::vector<float> arena = Arena();
    std::vector<checkpoint::NamedTensor> tensors;
    for (const engine::ArenaEntry& entry : layout_.entries()) {
      tensors.push_back(
          {entry.name, entry.shape,
           std::span(arena).subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size()))});
      if (change) change(tensors.back());
    }
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    checkpoint::WriteSafetensors(FileSystem::Real(), temporary_ / name, tensors, {});
    return temporary_ / name;
  }

  std::string WriteCheckpoint(const std::vector<std::string>& arrays) {
    const std::string folder = (temporary_ / "checkpoints/") + checkpoint::FolderName(10);
    FileSystem& files = FileSystem::Real();
    files.CreateFolders(temporary_ / "checkpoints");
    checkpoint::Manifest manifest;
    manifest.set_step(10);
    manifest.set_attempt(1);
    manifest.set_world_size(1);
    manifest.set_arena_elements(layout_.elements());
    for (const engine::ArenaEntry& entry : layout_.entries()) {
      checkpoint::Tensor* tensor = manifest.add_tensors();
      tensor->set_name(entry.name);
      for (int64_t dim : entry.shape.dims()) tensor->add_shape(dim);
      tensor->set_offset(entry.offset);
      tensor->set_statistic(entry.statistic);
    }
    // The last array holds the weights that count; those before it are other numbers.
    std::vector<std::vector<float>> data(arrays.size(),
                                         std::vector<float>(static_cast<size_t>(layout_.elements()), -1.0f));
    data.back() = Arena();
    std::vector<checkpoint::OwnedRange> ranges;
    for (size_t a = 0; a < arrays.size(); ++a) {
      manifest.add_arrays(arrays[a]);
      ranges.push_back({static_cast<uint32_t>(a), 0, data[a]});
    }
    *manifest.add_files() = checkpoint::WriteShard(files, folder, 0, 1, "host", ranges);
    checkpoint::CommitManifest(files, folder, std::move(manifest));
    return folder;
  }

  void ExpectWeightsFrom(const std::string& path) {
    Recipe recipe = ResolvedRecipe({"train.init_from=" + path});
    const plan::InitialWeights fill = ResolveInitFrom(recipe);
    ASSERT_TRUE(fill);
    std::vector<float> arena(static_cast<size_t>(layout_.elements()), 0.0f);
    fill(graph_, layout_, arena.data());
    EXPECT_EQ(arena, Arena());
    EXPECT_EQ(recipe.train().init_from_hash().size(), 16u);
  }

  std::string ErrorFrom(const std::string& path) {
    return UsageErrorOf([&] {
      Recipe recipe = ResolvedRecipe({"train.init_from=" + path});
      std::vector<float> arena(static_cast<size_t>(layout_.elements()));
      ResolveInitFrom(recipe)(graph_, layout_, arena.data());
    });
  }

  TemporaryFolder temporary_;
  graph::Graph graph_ = Model();
  engine::ParameterLayout layout_{graph_};
};

TEST_F(InitFrom, ARecipeWithoutItBeginsAtRandom) {
  Recipe recipe = ResolvedRecipe();
  EXPECT_FALSE(ResolveInitFrom(recipe));
  EXPECT_EQ(recipe.train().init_from_hash(), "");
}

TEST_F(InitFrom, TakesASafetensorsFile) { ExpectWeightsFrom(WriteSafetensors("w.safetensors")); }

TEST_F(InitFrom, TakesACheckpoint) { ExpectWeightsFrom(WriteCheckpoint({"weights"})); }

TEST_F(InitFrom, TakesTheNewestCheckpointOfAFolder) {
  WriteCheckpoint({"weights"});
  ExpectWeightsFrom(temporary_.path());
}

TEST_F(InitFrom, TakesTheAveragedWeightsWhereThereAreSome) {
  ExpectWeightsFrom(WriteCheckpoint({"weights", "momentum", "ema"}));
}

TEST_F(InitFrom, TheHashIsOfTheWeightsWhereverTheyLie) {
  Recipe a = ResolvedRecipe({"train.init_from=" + WriteSafetensors("a.safetensors")});
  Recipe b = ResolvedRecipe({"train.init_from=" + WriteCheckpoint({"weights"})});
  Recipe c = ResolvedRecipe({"train.init_from=" + WriteSafetensors("c.safetensors", [](auto& tensor) {
                               static const std::vector<float> kOnes(6, 1.0f);
                               if (tensor.name == "fc.weight") tensor.data = kOnes;
                             })});
  for (Recipe* recipe : {&a, &b, &c}) ResolveInitFrom(*recipe);
  EXPECT_EQ(a.train().init_from_hash(), b.train().init_from_hash());
  EXPECT_NE(a.train().init_from_hash(), c.train().init_from_hash());
}

TEST_F(InitFrom, OtherWeightsThanTheRunBeganWithAreRefused) {
  Recipe recipe =
      ResolvedRecipe({"train.init_from=" + WriteSafetensors("a.safetensors"), "train.init_from_hash=0123456789abcdef"});
  EXPECT_THAT(UsageErrorOf([&] { ResolveInitFrom(recipe); }),
              AllOf(HasSubstr("other weights"), HasSubstr("0123456789abcdef")));
}

TEST_F(InitFrom, AMissingTensorIsNamed) {
  const std::string path = WriteSafetensors("w.safetensors", [](auto& tensor) {
    if (tensor.name == "fc.bias") tensor.name = "fc.offset";
  });
  EXPECT_THAT(ErrorFrom(path), AllOf(HasSubstr(path), HasSubstr("\"fc.bias\"")));
}

TEST_F(InitFrom, AnotherShapeIsShownBesideTheModels) {
  const std::string path = WriteSafetensors("w.safetensors", [](auto& tensor) {
    if (tensor.name == "fc.weight") tensor.shape = Shape{3, 2};
  });
  EXPECT_THAT(ErrorFrom(path), AllOf(HasSubstr("\"fc.weight\""), HasSubstr(Shape({3, 2}).ToString()),
                                     HasSubstr(Shape({2, 3}).ToString())));
}

TEST_F(InitFrom, ExceptedParametersKeepWhatTheyHaveAndNeedNotBeThere) {
  const std::string path = WriteSafetensors("w.safetensors", [](auto& tensor) {
    if (tensor.name == "fc.bias") tensor.name = "fc.offset";
    if (tensor.name == "fc.weight") tensor.shape = Shape{3, 2};
  });
  Recipe recipe = ResolvedRecipe({"train.init_from=" + path, "train.init_except=fc.*"});
  std::vector<float> arena(static_cast<size_t>(layout_.elements()), 5.0f);
  ResolveInitFrom(recipe)(graph_, layout_, arena.data());
  const std::vector<float> expected = Arena();
  for (const engine::ArenaEntry& entry : layout_.entries()) {
    const bool excepted = entry.name.starts_with("fc.");
    for (int64_t i = entry.offset; i < entry.offset + entry.size(); ++i)
      EXPECT_EQ(arena[static_cast<size_t>(i)], excepted ? 5.0f : expected[static_cast<size_t>(i)]) << entry.name;
  }
}

TEST_F(InitFrom, ANewHeadKeepsItsRandomNumbers) {
  graph::Builder builder(graph::Mode::kTrain, 2);
  const graph::ValueId x = builder.Linear(builder.Input("features", {3}, DType::kF32), "first", 4, true, {});
  builder.SoftmaxCrossEntropy(builder.Linear(x, "fc", 2, true, {}), 0);
  graph_ = builder.Finish();
  layout_ = engine::ParameterLayout(graph_);
  const std::string path = WriteSafetensors("w.safetensors", [](auto& tensor) {
    static const std::vector<float> kOther(5 * 4, 1.0f);
    if (!tensor.name.starts_with("fc.")) return;
    tensor.shape = tensor.shape.rank() == 2 ? Shape{5, 4} : Shape{5};
    tensor.data = std::span(kOther).first(static_cast<size_t>(tensor.shape.size()));
  });
  EXPECT_THAT(ErrorFrom(path),
              AllOf(HasSubstr("\"fc.bias\" is [5], the model's [2]"),
                    HasSubstr("\"fc.weight\" is [5, 4], the model's [2, 4]"), HasSubstr("train { new_head: true }")));
  Recipe recipe = ResolvedRecipe({"train.init_from=" + path, "train.new_head=true"});
  std::vector<float> arena(static_cast<size_t>(layout_.elements()), 5.0f);
  testing::internal::CaptureStderr();
  ResolveInitFrom(recipe)(graph_, layout_, arena.data());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("the last layer begins with random numbers: fc.bias, fc.weight"));
  for (const engine::ArenaEntry& entry : layout_.entries())
    EXPECT_EQ(arena[static_cast<size_t>(entry.offset)], entry.name.starts_with("fc.") ? 5.0f : ValueAt(entry, 0))
        << entry.name;
  Recipe alone = ResolvedRecipe({"train.new_head=true"});
  EXPECT_THAT(UsageErrorOf([&] { ResolveInitFrom(alone); }),
              AllOf(HasSubstr("train.new_head"), HasSubstr("init_from")));
}

TEST_F(InitFrom, AllThatIsMissingOrTooMuchIsNamedAtOnce) {
  const std::string path = WriteSafetensors("w.safetensors", [](auto& tensor) {
    if (tensor.name.starts_with("fc.")) tensor.name = "head." + tensor.name.substr(3);
  });
  EXPECT_THAT(ErrorFrom(path), AllOf(HasSubstr("has no tensors \"fc.bias\", \"fc.weight\" that the model needs"),
                                     HasSubstr("new_head: true")));
  Recipe recipe = ResolvedRecipe({"train.init_from=" + path, "train.init_except=fc.*"});
  std::vector<float> arena(static_cast<size_t>(layout_.elements()));
  EXPECT_THAT(UsageErrorOf([&] { ResolveInitFrom(recipe)(graph_, layout_, arena.data()); }),
              AllOf(HasSubstr("the model has nothing for its \"head.bias\" [2], \"head.weight\" [2, 3]"),
                    HasSubstr("train { init_except: \"head.*\" }")));
}

TEST_F(InitFrom, WhatTheModelDoesNotTakeIsRefused) {
  const std::string folder = WriteCheckpoint({"weights"});
  graph::Builder builder(graph::Mode::kTrain, 2);
  const graph::ValueId x = builder.Input("features", {3}, DType::kF32);
  builder.SoftmaxCrossEntropy(builder.Linear(x, "fc", 2, true, {}), 0);
  graph_ = builder.Finish();
  layout_ = engine::ParameterLayout(graph_);
  EXPECT_THAT(ErrorFrom(folder), AllOf(HasSubstr("the model has nothing for its \"norm."), HasSubstr("init_except")));
  Recipe recipe = ResolvedRecipe({"train.init_from=" + folder, "train.init_except=norm.*"});
  std::vector<float> arena(static_cast<size_t>(layout_.elements()));
  ResolveInitFrom(recipe)(graph_, layout_, arena.data());
  for (const engine::ArenaEntry& entry : layout_.entries())
    EXPECT_EQ(arena[static_cast<size_t>(entry.offset)], ValueAt(entry, 0)) << entry.name;
}

TEST_F(InitFrom, PrefixesOfTrainersAreTakenOff) {
  for (const std::string prefix :
       {"module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "transformer."}) {
    const std::string path =
        WriteSafetensors("w.safetensors", [&](auto& tensor) { tensor.name = prefix + tensor.name; });
    testing::internal::CaptureStderr();
    ExpectWeightsFrom(path);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("note: ")) << prefix;
  }
  EXPECT_THAT(ErrorFrom(WriteSafetensors("w.safetensors", [&](auto& tensor) { tensor.name = "net." + tensor.name; })),
              AllOf(HasSubstr("has no tensors \"norm."), HasSubstr("it has \"net.norm.")));
}

TEST_F(InitFrom, CountersArePassedOver) {
  const std::string path = WriteSafetensors("w.safetensors");
  std::string bytes = ReadWholeFile(FileSystem::Real(), path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
  const std::string data = bytes.substr(8 + length);
  header["norm.num_batches_tracked"] = {
      {"dtype", "I64"}, {"shape", nlohmann::json::array()}, {"data_offsets", {data.size(), data.size() + 8}}};
  const std::string text = header.dump();
  length = text.size();
  WriteFileAtomically(FileSystem::Real(), path,
                      std::string(reinterpret_cast<const char*>(&length), 8) + text + data + std::string(8, '\1'));
  ExpectWeightsFrom(path);
}

TEST_F(InitFrom, AMissingFileIsAUsageError) {
  EXPECT_THAT(ErrorFrom(temporary_ / "none.safetensors"),
              AllOf(HasSubstr("does not exist"), HasSubstr("none.safetensors")));
}

}  // namespace
}  // namespace lockstep::launch

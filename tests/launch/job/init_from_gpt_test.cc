// Runs that begin with the weights of Hugging Face's GPT-2.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "launch/job/init_from.h"
#include "tests/launch/job/gpt_run.h"
#include "trainer/checkpoint/safetensors.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// Tensors of a file, as another program would write them.
struct FileTensor {
  Shape shape;
  std::vector<float> data;
};
using FileTensors = std::map<std::string, FileTensor>;

class InitFromGpt : public testing::Test {
 protected:
  /// The run's weights under GPT2LMHeadModel's names, linear layers as [in, out].
  static FileTensors HuggingFace(const GptRun& run, const std::string& prefix = "transformer.") {
    FileTensors tensors;
    for (const engine::ArenaEntry& entry : run.layout.entries()) {
      FileTensor tensor{entry.shape, run.At(entry.name)};
      if (entry.name.find(".c_") != std::string::npos && entry.shape.rank() == 2) {
        const int64_t out = entry.shape.dim(0), in = entry.shape.dim(1);
        tensor.shape = {in, out};
        for (int64_t i = 0; i < in; ++i)
          for (int64_t o = 0; o < out; ++o)
            tensor.data[static_cast<size_t>(i * out + o)] = run.At(entry.name)[static_cast<size_t>(o * in + i)];
      }
      tensors[prefix + entry.name] = std::move(tensor);
    }
    return tensors;
  }

  std::string Write(const std::string& name, const FileTensors& tensors,
                    const std::map<std::string, std::string>& metadata = {{"format", "pt"}}) {
    std::vector<checkpoint::NamedTensor> views;
    for (const auto& [tensor, content] : tensors) views.push_back({tensor, content.shape, content.data});
    std::filesystem::create_directories(std::filesystem::path(temporary_ / name).parent_path());
    checkpoint::WriteSafetensors(FileSystem::Real(), temporary_ / name, views, metadata);
    return temporary_ / name;
  }
  void WriteText(const std::string& name, const std::string& text) { std::ofstream(temporary_ / name) << text; }

  /// The arena of `run` after init_from has filled it.
  static std::vector<float> Fill(const GptRun& run, const std::string& path, std::string* hash = nullptr,
                                 const std::string& except = "") {
    Recipe recipe = run.recipe;
    recipe.mutable_train()->set_init_from(path);
    if (!except.empty()) recipe.mutable_train()->add_init_except(except);
    std::vector<float> arena(run.arena.size());
    ResolveInitFrom(recipe)({}, run.layout, arena.data());
    if (hash != nullptr) *hash = recipe.train().init_from_hash();
    return arena;
  }
  static std::string ErrorOf(const GptRun& run, const std::string& path) {
    return UsageErrorOf([&] { Fill(run, path); });
  }

  TemporaryFolder temporary_;
  const GptRun run_;
};

TEST_F(InitFromGpt, TakesAFileWithAndWithoutThePrefix) {
  EXPECT_EQ(Fill(run_, Write("head.safetensors", HuggingFace(run_))), run_.arena);
  EXPECT_EQ(Fill(run_, Write("bare.safetensors", HuggingFace(run_, ""))), run_.arena);
}

TEST_F(InitFromGpt, TakesAFolder) {
  Write("m/model.safetensors", HuggingFace(run_));
  EXPECT_EQ(Fill(run_, temporary_ / "m"), run_.arena);
}

TEST_F(InitFromGpt, TakesAFolderOfSeveralFiles) {
  FileTensors parts[2];
  std::string map;
  int number = 0;
  for (const auto& [name, tensor] : HuggingFace(run_)) {
    const int part = number++ % 2;
    parts[part][name] = tensor;
    map += fmt::format("{}\"{}\": \"model-0000{}-of-00002.safetensors\"", map.empty() ? "" : ",", name, part + 1);
  }
  Write("m/model-00001-of-00002.safetensors", parts[0]);
  Write("m/model-00002-of-00002.safetensors", parts[1]);
  const auto index = [&](const std::string& entries) {
    WriteText("m/model.safetensors.index.json", "{\"metadata\": {}, \"weight_map\": {" + entries + "}}");
  };
  index(map);
  std::string sharded, whole;
  EXPECT_EQ(Fill(run_, temporary_ / "m", &sharded), run_.arena);
  Fill(run_, Write("whole.safetensors", HuggingFace(run_)), &whole);
  EXPECT_EQ(sharded, whole) << "what counts is the weights";

  const auto error = [&] {
    try {
      Fill(run_, temporary_ / "m");
    } catch (const Error& caught) {
      EXPECT_EQ(caught.kind(), ErrorKind::kCheckpoint);
      return std::string(caught.what());
    }
    return std::string("no error");
  };
  index(map + R"(, "transformer.x": "model-00001-of-00002.safetensors")");
  EXPECT_THAT(error(), HasSubstr("no file has tensor \"transformer.x\""));
  index(R"("transformer.wte.weight": "../model.safetensors")");
  EXPECT_THAT(error(), HasSubstr("no file's name"));
  WriteText("m/model.safetensors.index.json", "[]");
  EXPECT_THAT(error(), HasSubstr("no weight_map"));
}

TEST_F(InitFromGpt, TheHashIsThatOfOurOwnFile) {
  FileTensors ours;
  for (const engine::ArenaEntry& entry : run_.layout.entries()) ours[entry.name] = {entry.shape, run_.At(entry.name)};
  std::string a, b;
  // Square matrices too are taken as they stand.
  EXPECT_EQ(Fill(run_, Write("ours.safetensors", ours, {{"lockstep_version", "0.1"}}), &a), run_.arena);
  EXPECT_EQ(Fill(run_, Write("theirs.safetensors", HuggingFace(run_)), &b), run_.arena);
  EXPECT_EQ(a, b);
}

TEST_F(InitFromGpt, FilesThatKeepWeightsAsLinearLayersDoAreKnownByTheirShapes) {
  FileTensors nano_gpt;
  for (const engine::ArenaEntry& entry : run_.layout.entries())
    nano_gpt["transformer." + entry.name] = {entry.shape, run_.At(entry.name)};
  EXPECT_EQ(Fill(run_, Write("nano.safetensors", nano_gpt)), run_.arena);
}

TEST_F(InitFromGpt, MasksAndTheTiedOutputLayerArePassedOver) {
  FileTensors tensors = HuggingFace(run_, "");
  tensors["h.0.attn.bias"] = {{1, 1, 2, 2}, {1, 0, 1, 1}};
  tensors["h.1.attn.masked_bias"] = {Shape{}, {-10000}};
  tensors["lm_head.weight"] = tensors["wte.weight"];
  EXPECT_EQ(Fill(run_, Write("old.safetensors", tensors)), run_.arena);
  tensors["lm_head.weight"].data[3] += 1;
  EXPECT_THAT(ErrorOf(run_, Write("untied.safetensors", tensors)),
              AllOf(HasSubstr("another matrix"), HasSubstr("set model.gpt.tied: false")));
}

TEST_F(InitFromGpt, AnUntiedOutputLayerHasItsOwnWeights) {
  const GptRun untied("layers: 1 heads: 2 width: 4 tied: false");
  FileTensors tensors = HuggingFace(untied);
  auto head = tensors.extract("transformer.lm_head.weight");
  head.key() = "lm_head.weight";
  tensors.insert(std::move(head));
  EXPECT_EQ(Fill(untied, Write("w.safetensors", tensors)), untied.arena);
  tensors.erase("lm_head.weight");
  EXPECT_THAT(ErrorOf(untied, Write("w.safetensors", tensors)), HasSubstr("set model.gpt.tied: true"));
}

TEST_F(InitFromGpt, OnlyBiasesThatAreZeroCanBeLeftOut) {
  const GptRun plain("layers: 2 heads: 2 width: 4 bias: false");
  FileTensors tensors = HuggingFace(plain);
  for (auto& [name, tensor] : HuggingFace(run_)) {
    if (tensors.contains(name)) continue;
    std::fill(tensor.data.begin(), tensor.data.end(), 0.0f);
    tensors[name] = tensor;
  }
  EXPECT_EQ(Fill(plain, Write("w.safetensors", tensors)), plain.arena);
  tensors["transformer.h.1.ln_2.bias"].data[1] = 1e-3f;
  const std::string path = Write("w.safetensors", tensors);
  EXPECT_THAT(ErrorOf(plain, path),
              AllOf(HasSubstr("\"h.1.ln_2.bias\" is not zero"), HasSubstr("model.gpt.bias: true")));
  EXPECT_EQ(Fill(plain, path, nullptr, "*.bias"), plain.arena) << "unless that is wanted";
  EXPECT_THAT(ErrorOf(run_, Write("w.safetensors", HuggingFace(plain))), HasSubstr("set model.gpt.bias: false"));
}

TEST_F(InitFromGpt, MorePlacesThanTheModelKnowsNameTheContext) {
  const GptRun longer("layers: 2 heads: 2 width: 4 context: 9");
  const std::string path = Write("w.safetensors", HuggingFace(longer));
  EXPECT_THAT(ErrorOf(run_, path),
              AllOf(HasSubstr("knows 9 positions, the model 6"), HasSubstr("model.gpt.context: 9")));
  EXPECT_EQ(Fill(longer, path), longer.arena);
}

TEST_F(InitFromGpt, MoreLayersThanTheModelsAreAnotherModel) {
  const GptRun deeper("layers: 3 heads: 2 width: 4");
  EXPECT_THAT(ErrorOf(run_, Write("w.safetensors", HuggingFace(deeper))),
              AllOf(HasSubstr("the model has nothing for its \"h.2."), HasSubstr(" more")));
}

TEST_F(InitFromGpt, HeadsComeFromTheConfigBesideTheWeights) {
  Write("m/model.safetensors", HuggingFace(run_));
  WriteText("m/config.json", R"({"model_type": "gpt2", "n_layer": 2, "n_head": 4, "activation_function": "gelu"})");
  for (const char* path : {"m", "m/model.safetensors"})
    EXPECT_THAT(ErrorOf(run_, temporary_ / path), HasSubstr("set model.gpt.heads: 4")) << path;
}

TEST_F(InitFromGpt, PyTorchsOwnFilesAreRefusedWithAWayOut) {
  std::filesystem::create_directories(temporary_ / "m");
  WriteText("m/pytorch_model.bin", "x");
  EXPECT_THAT(ErrorOf(run_, temporary_ / "m"), HasSubstr("save_pretrained"));
}

}  // namespace
}  // namespace lockstep::launch

// Folders for Hugging Face's transformers.
#include "launch/export/export_hugging_face.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "launch/commands/export_command.h"
#include "launch/export/export_tokenizer.h"
#include "launch/job/init_from.h"
#include "tests/launch/job/gpt_run.h"

namespace lockstep::launch {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ExportHuggingFace : public testing::Test {
 protected:
  /// `lockstep export run out`, of the run written to "run".
  void Export(const GptRun& run, bool force = false, const std::string& path = "run") {
    run.Write(temporary_ / "run");
    testing::internal::CaptureStdout();
    try {
      ExportCommand({.path = temporary_ / path, .target = out_, .weights = "", .force = force});
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    testing::internal::GetCapturedStdout();
  }
  std::string ErrorOfExport(const GptRun& run) {
    return UsageErrorOf([&] { Export(run); });
  }
  void WriteText(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(temporary_ / name).parent_path());
    std::ofstream(temporary_ / name) << text;
  }
  std::vector<std::string> Names() { return FileSystem::Real().List(out_); }
  json Json(const std::string& name) { return json::parse(ReadWholeFile(FileSystem::Real(), out_ + "/" + name)); }
  std::vector<float> Tensor(const std::string& name, const Shape& shape) {
    const checkpoint::SafetensorsFile file(FileSystem::Real(), out_ + "/model.safetensors");
    const auto* entry = file.Find(name);
    CHECK(entry != nullptr && entry->shape == shape, "{}", name);
    std::vector<float> data(static_cast<size_t>(shape.size()));
    file.Read(*entry, data);
    return data;
  }

  TemporaryFolder temporary_;
  const std::string out_ = temporary_ / "out";
};

TEST_F(ExportHuggingFace, WritesNamesAndLayoutOfGpt2) {
  const GptRun run;
  Export(run);
  EXPECT_THAT(Names(), ElementsAre("config.json", "model.safetensors")) << "these data have no tokenizer";
  EXPECT_EQ(Tensor("transformer.wte.weight", {kGptVocabulary, 4}), run.At("wte.weight"));
  const std::vector<float> ours = run.At("h.1.attn.c_attn.weight"),
                           theirs = Tensor("transformer.h.1.attn.c_attn.weight", {4, 12});
  for (size_t out = 0; out < 12; ++out)
    for (size_t in = 0; in < 4; ++in) EXPECT_EQ(theirs[in * 12 + out], ours[out * 4 + in]);
  const json config = Json("config.json");
  EXPECT_EQ(config["vocab_size"], kGptVocabulary);
  EXPECT_EQ(config["n_positions"], kGptBlock);
}

TEST_F(ExportHuggingFace, WhatItWritesComesBackInTheSame) {
  for (const char* path : {"run", "run/checkpoints/step-00000010"}) {
    GptRun run("layers: 2 heads: 2 width: 4 inner: 4 feed_forward: RELU");
    std::filesystem::remove_all(out_);
    Export(run, false, path);
    run.recipe.mutable_train()->set_init_from(out_);
    std::vector<float> arena(run.arena.size());
    ResolveInitFrom(run.recipe)({}, run.layout, arena.data());
    EXPECT_EQ(arena, run.arena);
  }
}

TEST_F(ExportHuggingFace, AModelWithoutBiasesGetsZeros) {
  Export(GptRun("layers: 1 heads: 2 width: 4 bias: false"));
  EXPECT_EQ(Tensor("transformer.h.0.mlp.c_fc.bias", {16}), std::vector<float>(16));
  EXPECT_EQ(Tensor("transformer.ln_f.bias", {4}), std::vector<float>(4));
}

TEST_F(ExportHuggingFace, ModelsThatAreNoGpt2AreRefused) {
  EXPECT_THAT(ErrorOfExport(GptRun("layers: 1 heads: 2 width: 4 positions: ROTARY")), HasSubstr("model.gpt.positions"));
  GptRun run;
  run.recipe.mutable_model()->mutable_mlp();
  EXPECT_THAT(ErrorOfExport(run), AllOf(HasSubstr("family gpt"), HasSubstr("export FILE.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(ExportHuggingFace, WhatIsThereIsMovedAsideOnlyWithForce) {
  WriteText("out/mine.txt", "x");
  EXPECT_THAT(ErrorOfExport(GptRun()), HasSubstr("--force"));
  EXPECT_THAT(Names(), ElementsAre("mine.txt"));
  Export(GptRun(), /*force=*/true);
  EXPECT_THAT(Names(), ElementsAre("config.json", "model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(temporary_ / "out.old/mine.txt"));
  Export(GptRun(), /*force=*/true);
  EXPECT_TRUE(std::filesystem::exists(temporary_ / "out.old-2/config.json"));
}

TEST_F(ExportHuggingFace, AnEmptyFolderIsFilledAndAFileIsNot) {
  std::filesystem::create_directories(out_);
  Export(GptRun());
  EXPECT_THAT(Names(), ElementsAre("config.json", "model.safetensors"));
  std::filesystem::remove_all(out_);
  WriteText("out", "x");
  EXPECT_THAT(ErrorOfExport(GptRun()), HasSubstr("is a file"));
}

TEST_F(ExportHuggingFace, NothingIsLeftOfAnExportThatFails) {
  const GptRun run("layers: 1 heads: 2 width: 4",
                   "block: 6 tokenizer { characters {} } train { text { file: \"/nowhere/text\" } }");
  EXPECT_THROW(Export(run), Error);
  WriteText("text", "abc");  // 3 tokens, where the model has 11
  const GptRun other("layers: 1 heads: 2 width: 4",
                     "block: 6 train { text { file: \"" + (temporary_ / "text") + "\" } }");
  try {
    Export(other);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("the tokenizer has 3 tokens, the model 11"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(temporary_.path()))
    EXPECT_THAT(entry.path().filename().string(), testing::AnyOf("run", "text"));
}

TEST_F(ExportHuggingFace, TheAlphabetBecomesATokenizer) {
  WriteText("text", "hello world\n \"\xC3\xA9\"");
  Export(GptRun("layers: 1 heads: 2 width: 4", "block: 6 train { text { file: \"" + (temporary_ / "text") + "\" } }"));
  EXPECT_EQ(
      Json("tokenizer.json")["model"]["vocab"],
      json::parse(R"({"\n": 0, " ": 1, "\"": 2, "d": 3, "e": 4, "h": 5, "l": 6, "o": 7, "r": 8, "w": 9, "é": 10})"));
  EXPECT_EQ(Json("tokenizer_config.json")["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(Json("config.json")["eos_token_id"], nullptr);
}

class ExportTokenizerTest : public ExportHuggingFace {
 protected:
  static data::DataConfig Config(const std::string& tokenizer) {
    return GptRun("layers: 1 heads: 2 width: 4", "tokenizer { " + tokenizer + " } train { synthetic { tokens: 6 } }")
        .recipe.data();
  }
};

TEST_F(ExportTokenizerTest, SyntheticTokensHaveNone) {
  EXPECT_TRUE(ExportTokenizer(GptRun().recipe.data(), 6).files.empty());
}

TEST_F(ExportTokenizerTest, BytesAreATokenizerWithoutMerges) {
  const ExportedTokenizer bytes = ExportTokenizer(Config("bytes {}"), 6);
  EXPECT_EQ(bytes.size, 256);
  // As the reader of byte-level files understands it.
  WriteText("tokenizer.json", bytes.files.at("tokenizer.json"));
  const auto ours = ExportTokenizer(Config("tokenizer_json: \"" + (temporary_ / "tokenizer.json") + "\""), 6);
  EXPECT_EQ(ours.size, 256);
  const json vocabulary = json::parse(bytes.files.at("tokenizer.json"))["model"]["vocab"];
  EXPECT_EQ(vocabulary["A"], 'A');
  EXPECT_EQ(vocabulary["\xC4\xA0"], ' ') << "U+0120";
  EXPECT_EQ(vocabulary["\xC3\xBF"], 255);
}

TEST_F(ExportTokenizerTest, Gpt2sFilesKeepTheirBytes) {
  const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})", merges = "#version: 0.2\na b\n";
  WriteText("encoder.json", vocabulary);
  WriteText("vocab.bpe", merges);
  const ExportedTokenizer bpe =
      ExportTokenizer(Config("byte_level_bpe { vocabulary: \"" + (temporary_ / "encoder.json") + "\" merges: \"" +
                             (temporary_ / "vocab.bpe") + "\" }"),
                      1024);
  EXPECT_EQ(bpe.files.at("vocab.json"), vocabulary);
  EXPECT_EQ(bpe.files.at("merges.txt"), merges);
  EXPECT_EQ(bpe.end, 3);
  EXPECT_EQ(bpe.begin, 3);
  const json config = json::parse(bpe.files.at("tokenizer_config.json"));
  EXPECT_EQ(config["tokenizer_class"], "GPT2Tokenizer");
  EXPECT_EQ(config["eos_token"], "<|endoftext|>");
  EXPECT_EQ(config["model_max_length"], 1024);
}

TEST_F(ExportTokenizerTest, WhatATokenizerJsonPutsAroundATextIsLeftOut) {
  const json plain = json::parse(R"({"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
    "added_tokens": [{"id": 2, "content": "<s>", "special": true}], "post_processor": {"type": "ByteLevel"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  json framed = plain;
  framed["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
  framed["truncation"] = {{"max_length", 4}};
  const auto exported = [&](const json& file) {
    WriteText("t.json", file.dump());
    return ExportTokenizer(Config("tokenizer_json: \"" + (temporary_ / "t.json") + "\""), 6);
  };
  EXPECT_EQ(exported(plain).files.at("tokenizer.json"), plain.dump()) << "the file as it is";
  json expected = plain;
  expected["post_processor"] = nullptr;
  const ExportedTokenizer tokenizer = exported(framed);
  EXPECT_EQ(json::parse(tokenizer.files.at("tokenizer.json")), expected);
  EXPECT_EQ(tokenizer.begin, 2);
  EXPECT_EQ(json::parse(tokenizer.files.at("tokenizer_config.json"))["bos_token"], "<s>");
}

}  // namespace
}  // namespace lockstep::launch

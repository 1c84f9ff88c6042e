// GPT-2 as Hugging Face's transformers keeps it.
#include "trainer/models/hugging_face.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "tests/trainer/models/model_world.h"

namespace lockstep::models {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Gpt ParseGpt(const std::string& text) { return Parse("gpt { " + text + " }").gpt(); }

TEST(HuggingFace, NamesAreOursBehindAPrefix) {
  EXPECT_EQ(NameFromHuggingFace("transformer.h.0.attn.c_attn.weight"), "h.0.attn.c_attn.weight");
  EXPECT_EQ(NameFromHuggingFace("h.0.attn.c_attn.bias"), "h.0.attn.c_attn.bias");
  EXPECT_EQ(NameFromHuggingFace("lm_head.weight"), "lm_head.weight");
  EXPECT_EQ(NameForHuggingFace("wte.weight"), "transformer.wte.weight");
  EXPECT_EQ(NameForHuggingFace("lm_head.weight"), "lm_head.weight");
}

TEST(HuggingFace, CausalMasksAreNoParameters) {
  EXPECT_EQ(NameFromHuggingFace("h.11.attn.bias"), std::nullopt);
  EXPECT_EQ(NameFromHuggingFace("transformer.h.0.attn.masked_bias"), std::nullopt);
}

TEST(HuggingFace, LinearLayersAloneLieTheOtherWayRound) {
  std::vector<std::string> turned;
  const graph::Model model = Build(Parse("gpt { layers: 1 heads: 2 width: 8 }"),
                                   {.input = "tokens", .sample = {4}, .classes = 5}, graph::Mode::kInfer, 1);
  for (const graph::ParameterInfo& info : model.parameters) {
    const std::string& name = model.graph.value(info.value).name;
    if (IsConv1dWeight(name)) turned.push_back(name);
  }
  EXPECT_THAT(turned, ElementsAre("h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight", "h.0.mlp.c_fc.weight",
                                  "h.0.mlp.c_proj.weight"));
}

TEST(HuggingFace, TheLayoutShowsWhereQueriesKeysAndValuesComeOut) {
  EXPECT_EQ(IsConv1dLayout("h.0.attn.c_attn.weight", {8, 24}), true);
  EXPECT_EQ(IsConv1dLayout("h.0.attn.c_attn.weight", {24, 8}), false);
  EXPECT_EQ(IsConv1dLayout("h.0.attn.c_attn.bias", {24}), std::nullopt);
  EXPECT_EQ(IsConv1dLayout("h.0.mlp.c_proj.weight", {8, 32}), std::nullopt) << "inner may be less than width";
}

TEST(HuggingFace, LinearLayersAndNormsHaveBiases) {
  EXPECT_EQ(BiasOf("h.0.mlp.c_fc.weight"), "h.0.mlp.c_fc.bias");
  EXPECT_EQ(BiasOf("h.3.ln_2.weight"), "h.3.ln_2.bias");
  EXPECT_EQ(BiasOf("ln_f.weight"), "ln_f.bias");
  for (const char* name : {"wte.weight", "wpe.weight", "lm_head.weight", "h.0.mlp.c_fc.bias"})
    EXPECT_EQ(BiasOf(name), std::nullopt) << name;
}

TEST(HuggingFace, TransposesMatricesOfAnyShape) {
  std::vector<float> small(6);
  Transpose(std::vector<float>{1, 2, 3, 4, 5, 6}, 2, 3, small);
  EXPECT_THAT(small, ElementsAre(1, 4, 2, 5, 3, 6));
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 70}, {70, 1}, {32, 32}, {33, 65}}) {
    std::vector<float> from(static_cast<size_t>(rows * columns)), to(from.size());
    std::iota(from.begin(), from.end(), 0.0f);
    Transpose(from, rows, columns, to);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        ASSERT_EQ(to[static_cast<size_t>(column * rows + row)], from[static_cast<size_t>(row * columns + column)]);
  }
}

TEST(HuggingFace, ConfigSaysTheModelsShapeAndFunctions) {
  const json config = json::parse(HuggingFaceConfig(ParseGpt("layers: 2 heads: 3 width: 24 dropout: 0.25"),
                                                    {.vocabulary = 61, .context = 16, .begin = -1, .end = 60}));
  EXPECT_EQ(config, json::parse(R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 61,
    "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_inner": null, "activation_function": "gelu",
    "layer_norm_epsilon": 1e-5, "embd_pdrop": 0.25, "resid_pdrop": 0.25, "attn_pdrop": 0.0, "tie_word_embeddings": true,
    "bos_token_id": null, "eos_token_id": 60, "torch_dtype": "float32"})"));
  const auto with = [](const char* more) {
    return json::parse(HuggingFaceConfig(ParseGpt(std::string("layers: 1 heads: 1 width: 4 ") + more), {}));
  };
  EXPECT_EQ(with("feed_forward: GELU_TANH")["activation_function"], "gelu_new");
  EXPECT_EQ(with("feed_forward: RELU")["activation_function"], "relu");
  EXPECT_EQ(with("inner: 12")["n_inner"], 12);
}

TEST(HuggingFace, ModelsThatAreNoGpt2AreRefusedByTheFieldThatMakesThemSo) {
  for (const auto& [text, field] :
       std::vector<std::pair<std::string, std::string>>{{"positions: ROTARY", "model.gpt.positions: ROTARY"},
                                                        {"norm: RMS", "model.gpt.norm: RMS"},
                                                        {"feed_forward: SWIGLU", "model.gpt.feed_forward: SWIGLU"},
                                                        {"kv_heads: 2", "model.gpt.kv_heads: 2 for 4 heads"},
                                                        {"tied: false", "model.gpt.tied: false"}}) {
    try {
      RequireGpt2(ParseGpt("layers: 1 heads: 4 width: 8 " + text));
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(field), HasSubstr("export FILE.safetensors")));
    }
  }
  RequireGpt2(ParseGpt("layers: 1 heads: 4 kv_heads: 4 width: 8 tied: true bias: false feed_forward: RELU"));
}

std::string ErrorOfConfig(const std::string& gpt, const std::string& config) {
  try {
    CheckHuggingFaceConfig(ParseGpt("layers: 2 heads: 3 width: 24 " + gpt), config, "/m/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(HuggingFace, AConfigThatSaysSomethingElseThanTheRecipeIsShownWithTheField) {
  const std::string good =
      R"({"model_type": "gpt2", "n_layer": 2, "n_head": 3, "activation_function": "gelu_new", "n_positions": 9})";
  const auto changed = [&](const char* name, const json& value) {
    json config = json::parse(good);
    config[name] = value;
    return config.dump();
  };
  const std::string tanh = "feed_forward: GELU_TANH";
  EXPECT_EQ(ErrorOfConfig(tanh, good), "no error");
  EXPECT_THAT(ErrorOfConfig("", good),
              AllOf(HasSubstr("/m/config.json"), HasSubstr("set model.gpt.feed_forward: GELU_TANH")));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("n_embd", 48)), HasSubstr("set model.gpt.width: 48"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("n_head", 4)), HasSubstr("set model.gpt.heads: 4"));
  EXPECT_THAT(ErrorOfConfig(tanh, R"({"model_type": "gpt2"})"), HasSubstr("set model.gpt.layers: 12"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("activation_function", "relu")),
              HasSubstr("set model.gpt.feed_forward: RELU"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("activation_function", "mish")), HasSubstr("mish is not supported"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("layer_norm_epsilon", 1e-6)), HasSubstr("layer_norm_epsilon"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("scale_attn_by_inverse_layer_idx", true)), HasSubstr("\": true is not"));
  EXPECT_THAT(ErrorOfConfig(tanh, changed("n_head", "three")), HasSubstr("\"n_head\" is \"three\""));
  EXPECT_EQ(ErrorOfConfig(tanh, changed("model_type", "llama")), "no error");
  EXPECT_EQ(ErrorOfConfig(tanh, "no json"), "no error");
}

TEST(HuggingFace, ItsOwnConfigPasses) {
  for (const std::string text : {"feed_forward: GELU_TANH", "", "feed_forward: RELU inner: 7"})
    EXPECT_EQ(ErrorOfConfig(text, HuggingFaceConfig(ParseGpt("layers: 2 heads: 3 width: 24 " + text), {})), "no error");
}

}  // namespace
}  // namespace lockstep::models

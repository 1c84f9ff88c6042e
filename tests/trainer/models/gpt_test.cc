// The family gpt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/models/model_world.h"
#include "trainer/graph/graph.h"

namespace lockstep::models {
namespace {

using graph::Mode;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

DataShape Tokens(int64_t block, int vocabulary) {
  return {.input = "tokens", .sample = {block}, .classes = vocabulary};
}

const char* const kSmall = "gpt { layers: 1 heads: 2 width: 8 dropout: 0.1 }";
const char* const kModern =
    "gpt { layers: 2 heads: 4 kv_heads: 2 width: 16 inner: 24 bias: false feed_forward: SWIGLU norm: RMS positions: "
    "ROTARY tied: false }";

int64_t Count(const char* text, int64_t block, int vocabulary) {
  return CountParameters(Build(Parse(text), Tokens(block, vocabulary), Mode::kTrain, 2));
}

TEST(Gpt, HasAsManyParametersAsPublished) {
  // What PyTorch counts in nanoGPT's CPU setting, at two lengths, and Hugging Face in GPT-2.
  EXPECT_EQ(Count("gpt { layers: 4 heads: 4 width: 128 bias: false }", 64, 65), 804096);
  EXPECT_EQ(Count("gpt { layers: 4 heads: 4 width: 128 bias: false }", 128, 65), 812288);
  EXPECT_EQ(Count("gpt { layers: 12 heads: 12 width: 768 context: 1024 feed_forward: GELU_TANH }", 64, 50257),
            124439808);
  // Embedding and output; norms; queries, two heads of keys and values of 4; the way back; three halves of 24.
  EXPECT_EQ(Count(kModern, 32, 50), 2 * 50 * 16 + 16 + 2 * (2 * 16 + 16 * (16 + 2 * 2 * 4) + 16 * 16 + 3 * 16 * 24));
}

TEST(Gpt, NamesAreHuggingFaces) {
  EXPECT_THAT(
      Names(Build(Parse(kSmall), Tokens(5, 11), Mode::kTrain, 2)),
      ElementsAre("wte.weight [11, 8]", "wpe.weight [5, 8]", "h.0.ln_1.weight [8]", "h.0.ln_1.bias [8]",
                  "h.0.attn.c_attn.weight [24, 8]", "h.0.attn.c_attn.bias [24]", "h.0.attn.c_proj.weight [8, 8]",
                  "h.0.attn.c_proj.bias [8]", "h.0.ln_2.weight [8]", "h.0.ln_2.bias [8]", "h.0.mlp.c_fc.weight [32, 8]",
                  "h.0.mlp.c_fc.bias [32]", "h.0.mlp.c_proj.weight [8, 32]", "h.0.mlp.c_proj.bias [8]",
                  "ln_f.weight [8]", "ln_f.bias [8]"));
  EXPECT_THAT(Names(Build(Parse(kModern), Tokens(5, 11), Mode::kTrain, 2)), Contains("lm_head.weight [11, 16]"));
}

TEST(Gpt, PredictsEveryPlacesNextToken) {
  for (const char* text : {kSmall, kModern}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kInfer}) {
      const graph::Graph graph = Build(Parse(text), Tokens(6, 11), mode, 3).graph;
      EXPECT_EQ(graph.outputs.contains("logits"), mode != Mode::kTrain);
      if (mode != Mode::kTrain) {
        EXPECT_EQ(graph.value(graph.outputs.at("logits")).shape, (Shape{3, 6, 11}));
      }
      EXPECT_EQ(graph.losses.size(), mode == Mode::kInfer ? 0u : 1u);
      if (mode != Mode::kInfer) {
        EXPECT_EQ(graph.value(graph.Find("label")).shape, (Shape{3, 6}));
      }
    }
    const ModelConfig config = Parse(text);
    EXPECT_EQ(Names(Build(config, Tokens(6, 11), Mode::kTrain, 3)),
              Names(Build(config, Tokens(6, 11), Mode::kInfer, 1)));
  }
}

TEST(Gpt, ResidualProjectionsStartSmaller) {
  const graph::Model model = Build(Parse("gpt { layers: 8 heads: 1 width: 4 }"), Tokens(4, 7), Mode::kTrain, 1);
  for (const graph::ParameterInfo& info : model.parameters) {
    const graph::Value& value = model.graph.value(info.value);
    if (value.shape.rank() < 2) continue;
    EXPECT_FLOAT_EQ(info.initializer.deviation, value.name.ends_with("c_proj.weight") ? 0.02f / 4 : 0.02f)
        << value.name;
    EXPECT_TRUE(info.decay) << value.name;
  }
}

std::string ErrorOf(const char* text, const DataShape& data) {
  try {
    Validate(Parse(text), data);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "no error";
}

TEST(Gpt, BadShapesAreNamed) {
  EXPECT_THAT(ErrorOf("gpt { heads: 1 width: 4 }", Tokens(4, 7)), HasSubstr("model.gpt.layers"));
  EXPECT_THAT(ErrorOf("gpt { layers: 1 heads: 3 width: 4 }", Tokens(4, 7)), HasSubstr("model.gpt.width"));
  EXPECT_THAT(ErrorOf("gpt { layers: 1 heads: 4 kv_heads: 3 width: 4 }", Tokens(4, 7)),
              HasSubstr("model.gpt.kv_heads"));
  EXPECT_THAT(ErrorOf("gpt { layers: 1 heads: 1 width: 4 context: 3 }", Tokens(4, 7)), HasSubstr("model.gpt.context"));
  EXPECT_THAT(ErrorOf("gpt { layers: 1 heads: 4 width: 4 positions: ROTARY }", Tokens(4, 7)), HasSubstr("pairs"));
  EXPECT_THAT(ErrorOf(kSmall, Images(8, 8, 1)), HasSubstr("gpt needs text"));
  EXPECT_THAT(ErrorOf("mlp { hidden: 4 }", Tokens(4, 7)), HasSubstr("use gpt"));
}

}  // namespace
}  // namespace lockstep::models

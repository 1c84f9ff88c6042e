// The families recurrent and seq2seq.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/models/model_world.h"
#include "trainer/graph/graph.h"

namespace lockstep::models {
namespace {

using graph::Mode;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const DataShape kSpeech = {.input = "features", .sample = {-1, 6}, .classes = 5};
const DataShape kPairs = {.input = "source", .sample = {-1}, .classes = 11};
const DataShape kTokens = {.input = "tokens", .sample = {8}, .classes = 11};

const char* const kLstm = "recurrent { layers: 2 hidden: 3 bidirectional: true dropout: 0.1 }";
const char* const kGru = "recurrent { layers: 1 hidden: 3 cell: GRU }";
const char* const kTransformer = "seq2seq { layers: 1 heads: 2 width: 8 dropout: 0.1 }";
const char* const kAttentive = "seq2seq { kind: LSTM layers: 2 width: 8 dropout: 0.1 }";

graph::Model BuildSmall(const char* text, const DataShape& data, Mode mode = Mode::kTrain, int64_t rows = 2,
                        int64_t places = 8) {
  return Build(Parse(text), data, mode, rows, places);
}

/// One direction of an LSTM with two biases, as PyTorch counts.
constexpr int64_t Lstm(int64_t in, int64_t hidden) { return 4 * hidden * (in + hidden + 2); }
constexpr int64_t Linear(int64_t in, int64_t out) { return in * out + out; }

TEST(Recurrent, NamesArePyTorchs) {
  EXPECT_THAT(
      Names(BuildSmall(kLstm, kSpeech)),
      ElementsAre("lstm.weight_ih_l0 [12, 6]", "lstm.weight_hh_l0 [12, 3]", "lstm.bias_ih_l0 [12]",
                  "lstm.bias_hh_l0 [12]", "lstm.weight_ih_l0_reverse [12, 6]", "lstm.weight_hh_l0_reverse [12, 3]",
                  "lstm.bias_ih_l0_reverse [12]", "lstm.bias_hh_l0_reverse [12]", "lstm.weight_ih_l1 [12, 6]",
                  "lstm.weight_hh_l1 [12, 3]", "lstm.bias_ih_l1 [12]", "lstm.bias_hh_l1 [12]",
                  "lstm.weight_ih_l1_reverse [12, 6]", "lstm.weight_hh_l1_reverse [12, 3]",
                  "lstm.bias_ih_l1_reverse [12]", "lstm.bias_hh_l1_reverse [12]", "out.weight [5, 6]", "out.bias [5]"));
  EXPECT_THAT(Names(BuildSmall(kGru, kSpeech)),
              ElementsAre("gru.weight_ih_l0 [9, 6]", "gru.weight_hh_l0 [9, 3]", "gru.bias_ih_l0 [9]",
                          "gru.bias_hh_l0 [9]", "out.weight [5, 3]", "out.bias [5]"));
}

TEST(Recurrent, HasAsManyParametersAsAHandCount) {
  const DataShape digits = {.input = "features", .sample = {-1, 80}, .classes = 28};
  // nn.LSTM(80, 128, num_layers=2, bidirectional=True) and nn.Linear(256, 28).
  EXPECT_EQ(CountParameters(BuildSmall("recurrent { layers: 2 hidden: 128 bidirectional: true }", digits)),
            2 * Lstm(80, 128) + 2 * Lstm(256, 128) + Linear(256, 28));
}

TEST(Recurrent, StartsAsPyTorchDoes) {
  const graph::Model model = BuildSmall(kLstm, kSpeech);
  for (const graph::ParameterInfo& info : model.parameters) {
    const std::string& name = model.graph.value(info.value).name;
    const double fan = name.starts_with("out") ? 6 : 3;  // of recurrent layers: their states
    EXPECT_FLOAT_EQ(info.initializer.uniform, static_cast<float>(1 / std::sqrt(fan))) << name;
    EXPECT_EQ(info.initializer.deviation, 0) << name;
    EXPECT_EQ(info.decay, name.find("weight") != std::string::npos) << name;
  }
}

TEST(Recurrent, WritesAtEveryPlace) {
  for (const char* text : {kLstm, kGru}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kInfer}) {
      const graph::Graph graph = BuildSmall(text, kSpeech, mode, 3, 20).graph;
      EXPECT_EQ(graph.value(graph.Find("features")).shape, (Shape{3, 20, 6}));
      EXPECT_EQ(graph.value(graph.Find("length")).shape, (Shape{3}));
      EXPECT_EQ(graph.outputs.contains("logits"), mode != Mode::kTrain);
      if (mode != Mode::kTrain) {
        EXPECT_EQ(graph.value(graph.outputs.at("logits")).shape, (Shape{3, 20, 5}));
      }
      EXPECT_EQ(graph.losses.size(), mode == Mode::kInfer ? 0u : 1u);
      EXPECT_EQ(graph.outputs.contains("path"), mode != Mode::kTrain);
      if (mode != Mode::kInfer) {
        EXPECT_EQ(graph.value(graph.Find("label_length")).shape, (Shape{3}));
      }
    }
  }
}

TEST(Seq2Seq, ATransformersLayersHaveTheseParameters) {
  EXPECT_THAT(
      Names(BuildSmall(kTransformer, kPairs)),
      ElementsAre("embedding.weight [11, 8]",  // of sources, targets and the output
                  "encoder.layers.0.norm1.weight [8]", "encoder.layers.0.norm1.bias [8]",
                  "encoder.layers.0.self_attn.in_proj.weight [24, 8]", "encoder.layers.0.self_attn.in_proj.bias [24]",
                  "encoder.layers.0.self_attn.out_proj.weight [8, 8]", "encoder.layers.0.self_attn.out_proj.bias [8]",
                  "encoder.layers.0.norm2.weight [8]", "encoder.layers.0.norm2.bias [8]",
                  "encoder.layers.0.linear1.weight [32, 8]", "encoder.layers.0.linear1.bias [32]",
                  "encoder.layers.0.linear2.weight [8, 32]", "encoder.layers.0.linear2.bias [8]",
                  "encoder.norm.weight [8]", "encoder.norm.bias [8]",
                  "decoder.layers.0.cross_attn.kv_proj.weight [16, 8]", "decoder.layers.0.cross_attn.kv_proj.bias [16]",
                  "decoder.layers.0.norm1.weight [8]", "decoder.layers.0.norm1.bias [8]",
                  "decoder.layers.0.self_attn.in_proj.weight [24, 8]", "decoder.layers.0.self_attn.in_proj.bias [24]",
                  "decoder.layers.0.self_attn.out_proj.weight [8, 8]", "decoder.layers.0.self_attn.out_proj.bias [8]",
                  "decoder.layers.0.norm2.weight [8]", "decoder.layers.0.norm2.bias [8]",
                  "decoder.layers.0.cross_attn.q_proj.weight [8, 8]", "decoder.layers.0.cross_attn.q_proj.bias [8]",
                  "decoder.layers.0.cross_attn.out_proj.weight [8, 8]", "decoder.layers.0.cross_attn.out_proj.bias [8]",
                  "decoder.layers.0.norm3.weight [8]", "decoder.layers.0.norm3.bias [8]",
                  "decoder.layers.0.linear1.weight [32, 8]", "decoder.layers.0.linear1.bias [32]",
                  "decoder.layers.0.linear2.weight [8, 32]", "decoder.layers.0.linear2.bias [8]",
                  "decoder.norm.weight [8]", "decoder.norm.bias [8]"));
}

TEST(Seq2Seq, HasAsManyParametersAsAHandCount) {
  // Of width 16 and 24 between a feed-forward block's layers: norms, attention, feed-forward blocks.
  constexpr int64_t kNorm = 32, kAttention = 4 * Linear(16, 16), kInner = Linear(16, 24) + Linear(24, 16);
  EXPECT_EQ(CountParameters(BuildSmall("seq2seq { layers: 3 heads: 4 width: 16 inner: 24 }", kPairs)),
            11 * 16 + 3 * (2 * kNorm + kAttention + kInner) + kNorm +  // the encoder
                3 * (3 * kNorm + 2 * kAttention + kInner) + kNorm);    // the decoder
  // Two directions of 8 share a width of 16; the decoder's second layer reads the first and what it attends to.
  EXPECT_EQ(CountParameters(BuildSmall("seq2seq { kind: LSTM layers: 2 width: 16 }", kPairs)),
            11 * 16 + 4 * Lstm(16, 8) + Linear(16, 32) + Lstm(16, 16) + Linear(16, 16) + Lstm(32, 16) + Linear(32, 16));
}

TEST(Seq2Seq, RecurrentLayersHaveNamesOfTheirSide) {
  const std::vector<std::string> names = Names(BuildSmall(kAttentive, kPairs));
  for (const char* name : {"encoder.weight_ih_l0 [16, 8]", "encoder.weight_hh_l1_reverse [16, 4]",
                           "decoder.layers.0.cross_attn.kv_proj.weight [16, 8]", "decoder.weight_ih_l0 [32, 8]",
                           "decoder.layers.0.cross_attn.q_proj.weight [8, 8]", "decoder.weight_ih_l1 [32, 16]",
                           "decoder.out.weight [8, 16]"})
    EXPECT_THAT(names, Contains(name));
  EXPECT_THAT(names, Not(Contains(HasSubstr("layers.1"))));
  EXPECT_THAT(Names(BuildSmall("seq2seq { kind: GRU layers: 1 width: 8 }", kPairs)),
              Contains("decoder.weight_ih_l0 [24, 8]"));
}

TEST(Seq2Seq, MatricesStartWithinTheBoundsOfGlorotAndBengio) {
  const graph::Model model = BuildSmall(kTransformer, kPairs);
  const auto uniform = [&](const std::string& name) {
    for (const graph::ParameterInfo& info : model.parameters)
      if (model.graph.value(info.value).name == name) return info.initializer.uniform;
    ADD_FAILURE() << name;
    return 0.0f;
  };
  EXPECT_FLOAT_EQ(uniform("encoder.layers.0.linear1.weight"), std::sqrt(6.0f / 40));
  // Side by side, three matrices are still three.
  EXPECT_FLOAT_EQ(uniform("encoder.layers.0.self_attn.in_proj.weight"), std::sqrt(6.0f / 16));
  EXPECT_FLOAT_EQ(uniform("decoder.layers.0.cross_attn.kv_proj.weight"), std::sqrt(6.0f / 16));
  EXPECT_FLOAT_EQ(uniform("decoder.layers.0.linear2.bias"), std::sqrt(1.0f / 32));
}

TEST(Seq2Seq, PredictsEveryPlacesNextToken) {
  for (const char* text : {kTransformer, kAttentive}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEvaluate}) {
      const graph::Graph graph = BuildSmall(text, kPairs, mode, 3, 12).graph;
      for (const char* input : {"source", "tokens", "label"})
        EXPECT_EQ(graph.value(graph.Find(input)).shape, (Shape{3, 12})) << input;
      EXPECT_EQ(graph.value(graph.Find("source_length")).shape, (Shape{3}));
      EXPECT_EQ(graph.outputs.contains("logits"), mode != Mode::kTrain);
      if (mode != Mode::kTrain) {
        EXPECT_EQ(graph.value(graph.outputs.at("logits")).shape, (Shape{3, 12, 11}));
      }
      EXPECT_EQ(graph.losses.size(), 1u);
    }
  }
}

class Sequence : public testing::TestWithParam<std::pair<const char*, DataShape>> {};
INSTANTIATE_TEST_SUITE_P(Families, Sequence,
                         testing::Values(std::pair{kLstm, kSpeech}, std::pair{kGru, kSpeech},
                                         std::pair{kTransformer, kPairs}, std::pair{kAttentive, kPairs}));

TEST_P(Sequence, HasTheSameParametersInEveryModeAndShape) {
  const auto& [text, data] = GetParam();
  const std::vector<std::string> names = Names(BuildSmall(text, data));
  for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kInfer})
    for (const int64_t places : {1, 33}) EXPECT_EQ(Names(BuildSmall(text, data, mode, 7, places)), names);
}

/// The states of a graph, and whether each has a next one.
std::vector<std::string> States(const graph::Graph& graph) {
  std::vector<std::string> states;
  for (const graph::Value& value : graph.values)
    if (value.role == graph::Role::kState)
      states.push_back(value.name + " " + value.shape.ToString() +
                       (graph.outputs.contains(graph::kNextState + value.name) ? " changes" : ""));
  return states;
}

constexpr graph::StepShape kStep = {.rows = 3, .tokens = 1, .capacity = 20, .source = 9};

TEST(Steps, RememberWhatTheyNeed) {
  const auto states = [](const char* text, const DataShape& data) {
    const graph::Graph graph = BuildStep(Parse(text), data, kStep).graph;
    EXPECT_EQ(graph.value(graph.outputs.at("logits")).shape, (Shape{3, 1, 11}));
    return States(graph);
  };
  EXPECT_THAT(states("gpt { layers: 2 heads: 2 width: 8 context: 20 }", kTokens),
              ElementsAre("h.0.attn.cache [3, 20, 16] changes", "h.1.attn.cache [3, 20, 16] changes"));
  // Heads that share keys and values have less to remember.
  EXPECT_THAT(states("gpt { layers: 1 heads: 4 kv_heads: 1 width: 8 positions: ROTARY }", kTokens),
              ElementsAre("h.0.attn.cache [3, 20, 4] changes"));
  EXPECT_THAT(states(kTransformer, kPairs),
              ElementsAre("decoder.layers.0.memory [3, 9, 16]", "decoder.layers.0.cache [3, 20, 16] changes"));
  EXPECT_THAT(
      states(kAttentive, kPairs),
      ElementsAre("decoder.layers.0.memory [3, 9, 16]", "decoder.0.hidden [3, 8] changes",
                  "decoder.0.cell [3, 8] changes", "decoder.1.hidden [3, 8] changes", "decoder.1.cell [3, 8] changes"));
  EXPECT_THAT(states("seq2seq { kind: GRU layers: 1 width: 8 }", kPairs),
              ElementsAre("decoder.layers.0.memory [3, 9, 16]", "decoder.0.hidden [3, 8] changes"));
}

TEST(Steps, OfAReaderHaveNoLogits) {
  graph::StepShape shape = kStep;
  shape.logits = false;
  EXPECT_FALSE(BuildStep(Parse(kTransformer), kPairs, shape).graph.outputs.contains("logits"));
}

TEST(Steps, AndEncodingsTakeTheTrainedParameters) {
  for (const char* text : {kTransformer, kAttentive}) {
    const std::vector<std::string> names = Names(BuildSmall(text, kPairs));
    const graph::Model step = BuildStep(Parse(text), kPairs, kStep);
    const graph::Model encoding = BuildEncoding(Parse(text), kPairs, 2, 9);
    for (const std::string& name : Names(step)) EXPECT_THAT(names, Contains(name));
    for (const std::string& name : Names(encoding)) EXPECT_THAT(names, Contains(name));
    // What the one makes the other reads.
    for (const auto& [name, value] : encoding.graph.outputs) {
      EXPECT_EQ(encoding.graph.value(value).shape, (Shape{2, 9, 16}));
      EXPECT_THAT(States(step.graph), Contains(name + " [3, 9, 16]"));
    }
    EXPECT_FALSE(encoding.graph.outputs.empty());
  }
}

TEST(Sequences, BadShapesAreNamed) {
  const auto error = [](const char* text, const DataShape& data) -> std::string {
    try {
      Validate(Parse(text), data);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error(kLstm, kSpeech), "no error");
  EXPECT_EQ(error(kTransformer, kPairs), "no error");
  EXPECT_THAT(error("recurrent { hidden: 3 }", kSpeech), HasSubstr("model.recurrent.layers: is required"));
  EXPECT_THAT(error("recurrent { layers: 1 }", kSpeech), HasSubstr("model.recurrent.hidden: is required"));
  EXPECT_THAT(error("recurrent { layers: 1 hidden: 3 dropout: 1 }", kSpeech), HasSubstr("model.recurrent.dropout: 1"));
  EXPECT_THAT(error("seq2seq { heads: 2 width: 8 }", kPairs), HasSubstr("model.seq2seq.layers: is required"));
  EXPECT_THAT(error("seq2seq { layers: 1 heads: 2 }", kPairs), HasSubstr("model.seq2seq.width: is required"));
  EXPECT_THAT(error("seq2seq { layers: 1 width: 8 }", kPairs), HasSubstr("model.seq2seq.heads: is required"));
  EXPECT_THAT(error("seq2seq { layers: 1 width: 8 heads: 3 }", kPairs), HasSubstr("model.seq2seq.width: 8"));
  EXPECT_THAT(error("seq2seq { layers: 1 width: 8 heads: 2 dropout: -1 }", kPairs),
              HasSubstr("model.seq2seq.dropout: -1"));
  EXPECT_THAT(error("seq2seq { kind: LSTM layers: 1 width: 7 }", kPairs), HasSubstr("model.seq2seq.width"));
  // Families and losses go with their data.
  EXPECT_THAT(error(kLstm, kPairs), AllOf(HasSubstr("pairs of sentences"), HasSubstr("use seq2seq")));
  EXPECT_THAT(error(kTransformer, kSpeech), AllOf(HasSubstr("recordings"), HasSubstr("use recurrent")));
  EXPECT_THAT(error(kTransformer, kTokens), HasSubstr("use gpt"));
  EXPECT_THAT(error("recurrent { layers: 1 hidden: 3 } loss { softmax_cross_entropy {} }", kSpeech),
              AllOf(HasSubstr("model.loss"), HasSubstr("use ctc")));
  EXPECT_THAT(error("seq2seq { layers: 1 heads: 2 width: 8 } loss { ctc {} }", kPairs),
              AllOf(HasSubstr("model.loss"), HasSubstr("no transcripts")));
  EXPECT_THAT(
      error("seq2seq { layers: 1 heads: 2 width: 8 } loss { softmax_cross_entropy { label_smoothing: 1 } }", kPairs),
      HasSubstr("label_smoothing: 1"));
}

}  // namespace
}  // namespace lockstep::models

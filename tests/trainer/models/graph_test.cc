#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/models/model_world.h"
#include "trainer/graph/op_table.h"

namespace lockstep::models {
namespace {

using graph::Mode;
using testing::ElementsAre;

std::string Sentence(const graph::Model& model, const graph::Op& op) {
  std::string text = graph::Name(op.kind);
  for (const graph::ValueId id : op.inputs)
    if (id != graph::kNoValue) text += " " + model.graph.value(id).shape.ToString();
  return text + " -> " + model.graph.value(op.outputs[0]).shape.ToString();
}

/// Each op with the shapes of its operands and of its first result.
std::vector<std::string> Ops(const graph::Model& model) {
  std::vector<std::string> ops;
  for (const graph::Op& op : model.graph.ops) ops.push_back(Sentence(model, op));
  return ops;
}

std::vector<std::string> OpsOf(const std::string& text, const DataShape& data, Mode mode = Mode::kTrain) {
  return Ops(Build(Parse(text), data, mode, 4));
}

DataShape Tokens(int64_t length, int words) { return {.input = "tokens", .sample = {length}, .classes = words}; }

TEST(GraphTest, AChainIsTheOpsOfTheFamily) {
  EXPECT_EQ(OpsOf("graph { node { flatten {} } node { linear { features: 5 } } node { activation: RELU } "
                  "node { dropout: 0.5 } node { linear {} } }",
                  Images(8, 8, 1)),
            OpsOf("mlp { hidden: 5 dropout: 0.5 }", Images(8, 8, 1)));
}

TEST(GraphTest, InputsByNameMakeResidualBlocks) {
  const ModelConfig config = Parse(R"(graph {
    node { name: "conv1" conv { channels: 8 bias: false } }
    node { name: "relu" activation: RELU }
    node { name: "conv2" conv { channels: 8 } }
    node { name: "sum" input: ["conv2", "relu"] add {} }
    node { global_average_pool {} }
    node { name: "fc" linear {} }
  })");
  const graph::Model model = Build(config, Images(9, 7, 3), Mode::kTrain, 4);
  EXPECT_THAT(Names(model), ElementsAre("conv1.weight [8, 3, 3, 3]", "conv2.weight [8, 8, 3, 3]", "conv2.bias [8]",
                                        "fc.weight [10, 8]", "fc.bias [10]"));
  EXPECT_THAT(Ops(model), testing::Contains("add [4, 9, 7, 8] [4, 9, 7, 8] -> [4, 9, 7, 8]"));
}

TEST(GraphTest, RepeatedBlocksCount) {
  const ModelConfig config = Parse(R"(graph {
    node { name: "embed" embedding { width: 6 } }
    node { name: "h" repeat { times: 2
      node { name: "norm" layer_norm {} }
      node { name: "inner" linear { features: 12 } }
      node { name: "act" activation: GELU }
      node { name: "outer" linear { features: 6 bias: false } }
      node { name: "sum" input: ["outer", "block_input"] add {} }
    } }
    node { name: "head" input: ["h", "embed.weight"] linear { bias: false } }
  })");
  const graph::Model model = Build(config, Tokens(5, 11), Mode::kTrain, 4);
  EXPECT_THAT(Names(model), ElementsAre("embed.weight [11, 6]", "h.0.norm.weight [6]", "h.0.norm.bias [6]",
                                        "h.0.inner.weight [12, 6]", "h.0.inner.bias [12]", "h.0.outer.weight [6, 12]",
                                        "h.1.norm.weight [6]", "h.1.norm.bias [6]", "h.1.inner.weight [12, 6]",
                                        "h.1.inner.bias [12]", "h.1.outer.weight [6, 12]"));
  EXPECT_THAT(Ops(model), testing::Contains("linear [4, 5, 6] [11, 6] -> [4, 5, 11]"));
}

TEST(GraphTest, NodesOfOneNameOfParametersShareThem) {
  const ModelConfig config = Parse(R"(graph {
    node { name: "a" parameters: "layer" linear { features: 4 } }
    node { name: "b" parameters: "layer" linear { features: 4 } }
    node { name: "times" repeat { times: 3 node { parameters: "/layer" linear { features: 4 } } } }
    node { name: "fc" linear {} }
  })");
  EXPECT_THAT(Names(Build(config, Features(4, 3), Mode::kTrain, 4)),
              ElementsAre("layer.weight [4, 4]", "layer.bias [4]", "fc.weight [3, 4]", "fc.bias [3]"));
}

TEST(GraphTest, SeveralFieldsOfTheDataComeIn) {
  DataShape data = Images(6, 6, 1, 3);
  data.fields = {{.name = "meta", .shape = {2}}, {.name = "kind", .shape = {}, .dtype = DType::kI32}};
  const ModelConfig config = Parse(R"(graph {
    node { name: "pixels" input: "image" flatten {} }
    node { name: "words" input: "kind" embedding { entries: 7 width: 5 } }
    node { name: "all" input: ["pixels", "meta", "words"] concat {} }
    node { name: "fc" linear {} }
  })");
  EXPECT_THAT(Names(Build(config, data, Mode::kTrain, 4)),
              ElementsAre("words.weight [7, 5]", "fc.weight [3, 43]", "fc.bias [3]"));
}

TEST(GraphTest, ChannelsFirstIsPyTorchsOrderOfDimensions) {
  const ModelConfig config = Parse(R"(graph { channels_first: true
    node { name: "conv" conv { channels: 4 kernel: [1, 7] padding: [0, 3] stride: [1, 2] } }
    node { name: "mean" reduce { kind: MEAN axes: [2, 3] } }
    node { name: "fc" linear {} }
  })");
  const graph::Model model = Build(config, Images(5, 8, 3), Mode::kTrain, 4);
  EXPECT_THAT(Names(model),
              ElementsAre("conv.weight [4, 3, 1, 7]", "conv.bias [4]", "fc.weight [10, 4]", "fc.bias [10]"));
  EXPECT_THAT(Ops(model), testing::Contains("reduce [4, 4, 5, 4] -> [4, 4]"));
}

TEST(GraphTest, SequencesHaveTheWeightsOfOneDimension) {
  DataShape data = Features(0, 2);
  data.sample = {9, 3};
  data.input = "waves";
  const ModelConfig config = Parse(R"(graph {
    node { name: "conv" conv { channels: 4 kernel: 5 stride: 2 } }
    node { name: "lstm" lstm { hidden: 6 layers: 2 bidirectional: true } }
    node { name: "last" input: "lstm:1" slice { axis: 1 begin: -1 } }
    node { flatten {} }
    node { name: "fc" linear {} }
  })");
  const graph::Model model = Build(config, data, Mode::kTrain, 4);
  EXPECT_EQ(Names(model).front(), "conv.weight [4, 3, 5]");
  EXPECT_THAT(Names(model), testing::Contains("lstm.weight_ih_l1_reverse [24, 12]"));
  EXPECT_EQ(Names(model).back(), "fc.bias [2]");
}

TEST(GraphTest, ParametersAreTheSameInEveryMode) {
  const ModelConfig config = Parse(R"(graph {
    node { name: "norm" batch_norm {} }
    node { name: "scale" parameter { shape: [4] value: 1 } }
    node { name: "table" buffer { shape: [2, 2] values: [1, 2, 3, 4] } }
    node { name: "scaled" input: ["norm", "scale"] multiply {} }
    node { name: "drop" dropout: 0.1 }
    node { name: "fc" linear {} }
    loss { focal_cross_entropy {} }
    loss { name: "size" node: "scaled" weight: 0.1 mean_value {} }
  })");
  const std::vector<std::string> train = Names(Build(config, Features(4, 3), Mode::kTrain, 4));
  EXPECT_THAT(train, ElementsAre("norm.weight [4]", "norm.bias [4]", "norm.running_mean [4]", "norm.running_var [4]",
                                 "scale [4]", "table [2, 2]", "fc.weight [3, 4]", "fc.bias [3]"));
  EXPECT_EQ(Names(Build(config, Features(4, 3), Mode::kEvaluate, 7)), train);
  EXPECT_EQ(Names(Build(config, Features(4, 3), Mode::kInfer, 1)), train);
}

struct BadGraph {
  const char* text;
  const char* message;
};

class BadGraphTest : public testing::TestWithParam<BadGraph> {};

TEST_P(BadGraphTest, IsAUsageErrorThatNamesTheNode) {
  try {
    Validate(Parse(GetParam().text), Images(8, 8, 3));
    FAIL() << "accepted: " << GetParam().text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), testing::HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, BadGraphTest,
    testing::Values(
        BadGraph{"graph {}", "model.graph.node: is required"},
        BadGraph{"graph { node { name: 'a' } }", "node \"a\": does not say what it does"},
        BadGraph{"graph { node { name: 'a b' flatten {} } }", "has a character other than letters"},
        BadGraph{"graph { node { name: 'a' flatten {} } node { name: 'a' linear {} } }",
                 "node \"a\": another node has its name"},
        BadGraph{"graph { node { name: 'a' input: 'b' flatten {} } node { name: 'b' linear {} } }",
                 "\"a\" reads \"b\", which is no node before it, no parameter and no field of the data"},
        BadGraph{"graph { node { name: 'a' input: 'image:1' flatten {} } }", "reads \"image:1\""},
        BadGraph{"graph { node { name: 'f' flatten {} } node { name: 'a' input: 'f:2' linear {} } }",
                 "its input \"f:2\" is result 2 of a node with 1"},
        BadGraph{"graph { node { name: 'f' flatten {} } node { name: 'c' input: 'f' conv { channels: 3 } } }",
                 "node \"c\": its input \"f\" is f32 [2, 192], but images [batch, height, width, channels]"},
        BadGraph{"graph { node { name: 'a' add {} } }", "node \"a\": has 1 inputs, but takes 2"},
        BadGraph{"graph { node { name: 'e' embedding { entries: 3 width: 2 } } }",
                 "node \"e\": its input \"image\" is f32 [2, 8, 8, 3], but integers are wanted"},
        BadGraph{"graph { node { name: 'r' reshape { shape: [-1, 5] } } }",
                 "node \"r\": its input \"image\" is f32 [2, 8, 8, 3], but one that becomes [-1, 5] is wanted"},
        BadGraph{"graph { node { name: 'c' input: ['image', 'image'] matmul {} } node { linear {} } }", "node \"c\": "},
        BadGraph{"graph { node { name: 't' transpose { order: [0, 1, 1, 2] } } }", "node \"t\": its input"},
        BadGraph{"graph { node { name: 's' slice { axis: 1 begin: 8 } } }", "node \"s\": its input"},
        BadGraph{"graph { node { name: 's' slice { axis: 7 } } }", "node \"s\": axis 7 of 4 dimensions"},
        BadGraph{"graph { node { name: 'a' parameters: 'p' linear { features: 3 } } "
                 "node { name: 'b' parameters: 'p' linear { features: 4 } } }",
                 "node \"b\": its p.weight would be [4, 3], but another node made it [3, 3]"},
        BadGraph{"graph { node { name: 'a' linear {} } }",
                 "the output is [8, 8, 10] of a sample, the data ask for [10]"},
        BadGraph{"graph { node { flatten {} } node { linear {} } loss { weight: 1 } }",
                 "\"loss\" does not say what kind it is"},
        BadGraph{"graph { node { flatten {} } node { linear {} } loss { softmax_cross_entropy {} } } "
                 "loss { softmax_cross_entropy {} }",
                 "model.loss: the graph has losses of its own"},
        BadGraph{"graph { node { name: 'b' repeat { times: 0 node { flatten {} } } } }", "repeat.times: is required"},
        BadGraph{"graph { node { name: 'g' group_norm { groups: 2 } } }", "3 channels can't be cut into 2 groups"}));

}  // namespace
}  // namespace lockstep::models

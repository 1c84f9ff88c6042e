#include "trainer/models/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/trainer/models/model_world.h"
#include "trainer/passes/passes.h"

namespace lockstep::models {
namespace {

using graph::Mode;
using testing::ElementsAre;

const char* const kCifarResNet = "resnet { depth: 8 widths: [32, 64, 128] stem: POOL }";

struct Counted {
  const char* what;
  const char* text;
  DataShape data;
  int64_t parameters;
};

/// A basic block of a residual network without shortcut, and a 1x1 shortcut; two numbers of each norm.
constexpr int64_t Block(int64_t in, int64_t out) { return 9 * in * out + 9 * out * out + 4 * out; }
constexpr int64_t Projection(int64_t in, int64_t out) { return in * out + 2 * out; }

class ParameterCount : public testing::TestWithParam<Counted> {};

TEST_P(ParameterCount, IsThatOfAHandCount) {
  const Counted& counted = GetParam();
  const ModelConfig config = Parse(counted.text);
  Validate(config, counted.data);
  EXPECT_EQ(CountParameters(Build(config, counted.data, Mode::kTrain, 4)), counted.parameters);
}

INSTANTIATE_TEST_SUITE_P(
    Families, ParameterCount,
    testing::Values(
        Counted{"mlp", "mlp { hidden: [512, 512] }", Images(28, 28, 1),
                784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10},
        // fastai's rule: 1.6 * 100^0.56 is 21.1.
        Counted{"mlp of embedded words", "mlp { hidden: 5 }", Embedded({7, 100}),
                107 * 21 + (13 + 2 * 21) * 5 + 5 + 5 * 3 + 3},
        Counted{"mlp of few values a word", "mlp { hidden: 5 embedding: 2 }", Embedded({7, 100}),
                107 * 2 + (13 + 2 * 2) * 5 + 5 + 5 * 3 + 3},
        Counted{"mlp of features", "mlp { hidden: 5 }", Features(13, 0, 3), 13 * 5 + 5 + 5 * 3 + 3},
        Counted{"convnet with batch norm", "convnet { stages { channels: 4 batch_norm: true pool: 2 } }",
                Images(6, 8, 3), 4 * 27 + 8 + 3 * 4 * 4 * 10 + 10},
        // The numbers that PyTorch counts in the reference recipes.
        Counted{"digits mlp", "mlp { hidden: [128, 64] }", Images(8, 8, 1), 17226},
        Counted{"digits", "convnet { stages { channels: 16 } stages { channels: 32 pool: 2 } hidden: 64 }",
                Images(8, 8, 1), 38282},
        Counted{"mnist",
                "convnet { stages { channels: 16 kernel: 5 padding: 0 pool: 2 } "
                "stages { channels: 32 kernel: 5 padding: 0 pool: 2 } hidden: 128 dropout: 0.3 }",
                Images(28, 28, 1), 80202},
        // torchvision's num_params of fcos_resnet50_fpn, whose frozen norms have none.
        Counted{"fcos", "detector { fcos {} }", Boxes(64, 96, 91), 32269600},
        Counted{"cifar", kCifarResNet, Images(32, 32, 3), 308650},
        Counted{"lenet",
                "convnet { stages { channels: 32 kernel: 5 pool: 2 } stages { channels: 64 kernel: 5 pool: 2 } hidden: "
                "512 }",
                Images(28, 28, 1), 32 * 25 + 32 + 64 * 32 * 25 + 64 + 3136 * 512 + 512 + 5130},
        // torchvision's counts at 1000 classes, and the paper's (0.27 million) for ResNet-20 with option A.
        Counted{"resnet18", "resnet { depth: 18 }", Images(224, 224, 3, 1000), 11689512},
        Counted{"resnet34", "resnet { depth: 34 }", Images(224, 224, 3, 1000), 21797672},
        Counted{"resnet50", "resnet { depth: 50 }", Images(224, 224, 3, 1000), 25557032},
        Counted{"resnet18 with a CIFAR stem", "resnet { depth: 18 }", Images(32, 32, 3), 11173962},
        Counted{"resnet20 option A", "resnet { depth: 20 shortcut: PADDED_IDENTITY }", Images(32, 32, 3), 269722},
        Counted{"resnet14", "resnet { depth: 14 }", Images(32, 32, 3),
                9 * 3 * 16 + 32 + 2 * Block(16, 16) + Block(16, 32) + Projection(16, 32) + Block(32, 32) +
                    Block(32, 64) + Projection(32, 64) + Block(64, 64) + 650},
        Counted{"layers",
                "layers { layer { conv { channels: 8 groups: 2 bias: false } } layer { batch_norm {} } "
                "layer { global_average_pool {} } layer { layer_norm {} } layer { linear { features: 7 bias: false } } "
                "layer { linear {} } }",
                Images(9, 9, 4), 8 * 2 * 9 + 16 + 16 + 56 + 80}),
    [](const auto& info) {
      std::string name;
      for (const char c : std::string(info.param.what)) name += c == ' ' ? '_' : c;
      return name;
    });

TEST(Names, OfResNetsAreTorchvisions) {
  const graph::Model model = Build(Parse(kCifarResNet), Images(32, 32, 3), Mode::kTrain, 2);
  const std::vector<std::string> names = Names(model);
  EXPECT_THAT(std::vector(names.begin(), names.begin() + 5),
              ElementsAre("conv1.weight [32, 3, 3, 3]", "bn1.weight [32]", "bn1.bias [32]", "bn1.running_mean [32]",
                          "bn1.running_var [32]"));
  for (const char* name : {"layer1.0.conv1.weight [32, 32, 3, 3]", "layer2.0.conv1.weight [64, 32, 3, 3]",
                           "layer2.0.downsample.0.weight [64, 32, 1, 1]", "layer2.0.downsample.1.running_var [64]",
                           "layer3.0.bn2.bias [128]", "fc.weight [10, 128]", "fc.bias [10]"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
  EXPECT_THAT(names, testing::Not(testing::Contains(testing::StartsWith("layer1.0.downsample"))));
}

TEST(Names, OfBottlenecksAreTorchvisions) {
  const std::vector<std::string> names =
      Names(Build(Parse("resnet { depth: 50 }"), Images(64, 64, 3), Mode::kInfer, 1));
  for (const char* name : {"conv1.weight [64, 3, 7, 7]", "layer1.0.conv3.weight [256, 64, 1, 1]",
                           "layer1.0.downsample.0.weight [256, 64, 1, 1]", "layer4.2.bn3.running_mean [2048]"}) {
    EXPECT_THAT(names, testing::Contains(name));
  }
}

TEST(Names, OfTheOtherFamiliesCountLayers) {
  EXPECT_THAT(Names(Build(Parse("convnet { stages { channels: 2 } stages { channels: 3 batch_norm: true } hidden: 4 }"),
                          Images(2, 2, 1), Mode::kInfer, 1)),
              ElementsAre("conv1.weight [2, 1, 3, 3]", "conv1.bias [2]", "conv2.weight [3, 2, 3, 3]", "bn2.weight [3]",
                          "bn2.bias [3]", "bn2.running_mean [3]", "bn2.running_var [3]", "fc1.weight [4, 12]",
                          "fc1.bias [4]", "fc2.weight [10, 4]", "fc2.bias [10]"));
  EXPECT_THAT(Names(Build(Parse("layers { layer { linear { features: 4 } } layer { name: 'head' linear {} } }"),
                          Features(3, 2), Mode::kInfer, 1)),
              ElementsAre("linear1.weight [4, 3]", "linear1.bias [4]", "head.weight [2, 4]", "head.bias [2]"));
}

TEST(Names, OfNamedResidualsPrefixTheirLayers) {
  const graph::Model model = Build(Parse(R"(layers {
      layer { name: "block" residual {
        layer { linear { features: 3 bias: false } }
        layer { residual { layer { name: "inner" linear { features: 3 bias: false } } } } } }
      layer { residual { layer { linear { features: 3 bias: false } } } }
      layer { linear { bias: false } } })"),
                                   Features(3, 2), Mode::kInfer, 1);
  EXPECT_THAT(Names(model), ElementsAre("block.linear1.weight [3, 3]", "block.inner.weight [3, 3]",
                                        "linear1.weight [3, 3]", "linear2.weight [2, 3]"));
}

const char* const kOneOfEach[] = {
    "mlp { hidden: 5 dropout: 0.5 }",
    "convnet { stages { channels: 4 batch_norm: true pool: 2 } hidden: 5 dropout: 0.5 activation: GELU }",
    "resnet { depth: 8 }",
    "layers { layer { conv { channels: 3 } } layer { residual { layer { batch_norm {} } layer { dropout: 0.1 } } } "
    "layer { activation: SILU } layer { average_pool {} } layer { flatten {} } layer { layer_norm {} } layer { linear "
    "{} } }",
};

class Family : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Family, testing::ValuesIn(kOneOfEach));

TEST_P(Family, HasTheSameParametersInEveryModeAndBatch) {
  const ModelConfig config = Parse(GetParam());
  const graph::Model train = Build(config, Images(8, 8, 3), Mode::kTrain, 4);
  for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kInfer}) {
    for (const int64_t batch : {1, 7}) {
      const graph::Model other = Build(config, Images(8, 8, 3), mode, batch);
      ASSERT_EQ(Names(other), Names(train));
      for (size_t i = 0; i < train.parameters.size(); ++i) {
        EXPECT_EQ(other.parameters[i].initializer.value, train.parameters[i].initializer.value);
        EXPECT_EQ(other.parameters[i].initializer.deviation, train.parameters[i].initializer.deviation);
        EXPECT_EQ(other.parameters[i].decay, train.parameters[i].decay);
      }
    }
  }
}

TEST_P(Family, HasLossesAndCountersExceptWhenItInfersAndLogitsExceptWhenItTrains) {
  for (const Mode mode : {Mode::kTrain, Mode::kEvaluate, Mode::kInfer}) {
    const graph::Graph graph = Build(Parse(GetParam()), Images(8, 8, 3), mode, 6).graph;
    EXPECT_EQ(graph.losses.size(), mode == Mode::kInfer ? 0u : 1u);
    EXPECT_EQ(graph.counters.size(), mode == Mode::kInfer ? 0u : 1u);
    ASSERT_EQ(graph.outputs.contains("logits"), mode != Mode::kTrain);
    if (mode != Mode::kTrain) {
      EXPECT_EQ(graph.value(graph.outputs.at("logits")).shape, (Shape{6, 10}));
    }
    EXPECT_EQ(graph.value(graph.Find("image")).shape, (Shape{6, 8, 8, 3}));
  }
}

TEST_P(Family, IsLeftAloneByPassesOverTensorFunctions) {
  const auto kinds = [](const graph::Graph& graph) {
    std::vector<graph::OpKind> of;
    for (const graph::Op& op : graph.ops) of.push_back(op.kind);
    return of;
  };
  for (const Mode mode : {Mode::kTrain, Mode::kInfer}) {
    const graph::Graph forward = Build(Parse(GetParam()), Images(8, 8, 3), mode, 6).graph;
    EXPECT_EQ(kinds(passes::RecogniseActivations(forward)), kinds(forward));
    const graph::Graph whole = passes::RemoveDeadOps(passes::AddGradients(forward, {}));
    EXPECT_EQ(kinds(passes::FuseElementwise(whole)), kinds(whole));
  }
}

TEST_P(Family, StartsAsHeEtAlSay) {
  const graph::Model model = Build(Parse(GetParam()), Images(8, 8, 3), Mode::kTrain, 4);
  for (const graph::ParameterInfo& info : model.parameters) {
    const graph::Value& value = model.graph.value(info.value);
    const Shape& shape = value.shape;
    const bool statistic = value.role == graph::Role::kStatistic;
    if (shape.rank() > 1) {
      const auto fan_in = static_cast<double>(shape.size() / shape.dim(0));
      EXPECT_FLOAT_EQ(info.initializer.deviation, static_cast<float>(std::sqrt(2 / fan_in))) << value.name;
      EXPECT_EQ(info.initializer.value, 0) << value.name;
      EXPECT_TRUE(info.decay) << value.name;
    } else {
      EXPECT_EQ(info.initializer.deviation, 0) << value.name;
      EXPECT_FALSE(info.decay) << value.name;
      const bool one = value.name.ends_with(statistic ? "running_var" : "weight");
      const bool last = value.name.starts_with("layer") && value.name.ends_with(".bn2.weight");
      EXPECT_EQ(info.initializer.value, one && !last ? 1 : 0) << value.name;
    }
  }
}

TEST(ResNet, ResidualBranchesStartAtZeroUnlessToldOtherwise) {
  for (const char* depth : {"8", "18", "50"}) {
    const std::string last = std::string(depth) == "50" ? ".bn3.weight" : ".bn2.weight";
    for (const bool zero : {true, false}) {
      const std::string text = fmt::format("resnet {{ depth: {}{} }}", depth, zero ? "" : " zero_init_residual: false");
      const graph::Model model = Build(Parse(text), Images(32, 32, 3), Mode::kTrain, 2);
      int blocks = 0;
      for (const graph::ParameterInfo& info : model.parameters) {
        const std::string& name = model.graph.value(info.value).name;
        if (!name.starts_with("layer") || !name.ends_with(last)) continue;
        EXPECT_EQ(info.initializer.value, zero ? 0 : 1) << name;
        ++blocks;
      }
      EXPECT_EQ(blocks, std::string(depth) == "8" ? 3 : std::string(depth) == "18" ? 8 : 16);
    }
  }
}

Shape BeforeGlobalPool(const char* text, const DataShape& data) {
  const graph::Graph graph = Build(Parse(text), data, Mode::kInfer, 1).graph;
  for (const graph::Op& op : graph.ops) {
    if (op.kind == graph::OpKind::kGlobalAveragePool) return graph.value(op.inputs[0]).shape;
  }
  return {};
}

TEST(ResNet, StemsShrinkImagesAsTheLayoutsSay) {
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 8 }", Images(32, 32, 3)), (Shape{1, 8, 8, 64}));
  EXPECT_EQ(BeforeGlobalPool(kCifarResNet, Images(32, 32, 3)), (Shape{1, 4, 4, 128}));
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 18 }", Images(32, 32, 3)), (Shape{1, 4, 4, 512}));
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 18 stem: IMAGENET }", Images(32, 32, 3)), (Shape{1, 1, 1, 512}));
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 18 }", Images(64, 64, 3)), (Shape{1, 2, 2, 512}));
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 50 }", Images(224, 224, 3)), (Shape{1, 7, 7, 2048}));
  EXPECT_EQ(BeforeGlobalPool("resnet { depth: 20 stem: IMAGENET shortcut: PADDED_IDENTITY }", Images(31, 45, 1)),
            (Shape{1, 2, 3, 64}));
}

TEST(Dropout, RunsInTrainingAlone) {
  auto dropouts = [](Mode mode) {
    const graph::Graph graph = Build(Parse("mlp { hidden: [5, 5] dropout: 0.5 }"), Features(3, 2), mode, 4).graph;
    return std::count_if(graph.ops.begin(), graph.ops.end(),
                         [](const graph::Op& op) { return op.kind == graph::OpKind::kDropout; });
  };
  EXPECT_EQ(dropouts(Mode::kTrain), 2);
  EXPECT_EQ(dropouts(Mode::kEvaluate), 0);
  EXPECT_EQ(dropouts(Mode::kInfer), 0);
}

TEST(Loss, FollowsTheDataUnlessGiven) {
  const graph::Graph regression = Build(Parse("mlp { hidden: 5 }"), Features(3, 0, 2), Mode::kTrain, 4).graph;
  EXPECT_TRUE(regression.counters.empty());
  EXPECT_EQ(regression.losses.size(), 1u);
  EXPECT_TRUE(regression.outputs.contains("prediction"));
  EXPECT_NE(regression.Find("target"), graph::kNoValue);

  const graph::Graph classes = Build(Parse("mlp { hidden: 5 }"), Features(3, 2), Mode::kTrain, 4).graph;
  EXPECT_EQ(classes.counters.at(0).name, "correct");
}

TEST(Loss, SmoothsLabelsInTrainingAlone) {
  const auto smoothing = [](Mode mode) {
    const ModelConfig config = Parse("mlp { hidden: 5 } loss { softmax_cross_entropy { label_smoothing: 0.1 } }");
    const graph::Graph graph = Build(config, Features(3, 2), mode, 4).graph;
    const auto loss = std::ranges::find(graph.ops, graph::OpKind::kSoftmaxCrossEntropy, &graph::Op::kind);
    return loss == graph.ops.end() ? -1 : loss->as<graph::LossAttributes>().label_smoothing;
  };
  EXPECT_EQ(smoothing(Mode::kTrain), 0.1f);
  EXPECT_EQ(smoothing(Mode::kEvaluate), 0.0f);
}

}  // namespace
}  // namespace lockstep::models

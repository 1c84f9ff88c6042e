#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/models/model_world.h"

namespace lockstep::models {
namespace {

struct BadConfig {
  const char* text;
  const char* message;
  DataShape data = Images(8, 8, 1);
};

class BadModel : public testing::TestWithParam<BadConfig> {};

TEST_P(BadModel, IsAUsageErrorThatNamesTheField) {
  try {
    Validate(Parse(GetParam().text), GetParam().data);
    FAIL() << "accepted: " << GetParam().text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), testing::StartsWith(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ends, BadModel,
    testing::Values(BadConfig{"", "model: is required"},
                    BadConfig{"mlp { hidden: 3 }", "model.loss: the data has neither labels nor targets",
                              Features(4, 0)},
                    BadConfig{"mlp { hidden: 3 } loss { softmax_cross_entropy {} }",
                              "model.loss: cross entropy needs labels", Features(4, 0, 2)},
                    BadConfig{"mlp { hidden: 3 } loss { mean_squared_error {} }",
                              "model.loss: the mean squared error needs targets"},
                    BadConfig{"mlp { hidden: 3 } loss { softmax_cross_entropy { label_smoothing: 1 } }",
                              "model.loss.softmax_cross_entropy.label_smoothing: 1 is not in [0, 1)"}));

INSTANTIATE_TEST_SUITE_P(
    FeedForward, BadModel,
    testing::Values(BadConfig{"mlp {}", "model.mlp.hidden: is required"},
                    BadConfig{"mlp { hidden: [4, 0] }", "model.mlp.hidden[1]: 0 is not in [1, "},
                    BadConfig{"mlp { hidden: 4000000000 }", "model.mlp.hidden[0]: 4000000000 is not in [1, "},
                    BadConfig{"mlp { hidden: 3 dropout: 1 }", "model.mlp.dropout: 1 is not in [0, 1)"},
                    BadConfig{"mlp { hidden: 3 dropout: nan }", "model.mlp.dropout: nan is not in [0, 1)"},
                    BadConfig{"convnet {}", "model.convnet.stages: is required"},
                    BadConfig{"convnet { stages {} }", "model.convnet.stages[0].channels: is required: 1 to "},
                    BadConfig{"convnet { stages { channels: 2 } }", "model.convnet.stages[0]: needs images",
                              Features(4, 2)},
                    BadConfig{"convnet { stages { channels: 2 kernel: 9 padding: 0 } }",
                              "model.convnet.stages[0].kernel: 9 is larger than the image, 8x8 with padding 0"},
                    BadConfig{"convnet { stages { channels: 2 pool: 8 } stages { channels: 2 pool: 2 } }",
                              "model.convnet.stages[1].pool: 2 is larger than the image, 1x1"},
                    BadConfig{"convnet { stages { channels: 2 kernel: 4000000000 } }",
                              "model.convnet.stages[0].kernel: 4000000000 is not in [0, "},
                    BadConfig{"convnet { stages { channels: 2 pool: 17 } }",
                              "model.convnet.stages[0].pool: 17 is not in [1, 16]", Images(64, 64, 1)},
                    BadConfig{"convnet { stages { channels: 2 } dropout: 0.5 }",
                              "model.convnet.dropout: comes after the last hidden"},
                    BadConfig{"convnet { stages { channels: 2 } hidden: 3 dropout: -0.5 }",
                              "model.convnet.dropout: -0.5 is not in"}));

INSTANTIATE_TEST_SUITE_P(
    Fcos, BadModel,
    testing::Values(
        BadConfig{"detector { fcos {} strides: 8 }", "model.detector.strides: fcos has its own", Boxes(64, 64, 3)},
        BadConfig{"detector { fcos {} }", "model.detector.fcos: needs heights and widths that are multiples of 32",
                  Boxes(64, 48, 3)},
        BadConfig{"detector { fcos { groups: 5 } neck: 16 }",
                  "model.detector.fcos.groups: 16 channels can't be cut into 5 groups", Boxes(64, 64, 3)},
        BadConfig{"detector { fcos {} backbone { resnet { depth: 20 } } }",
                  "model.detector.backbone.resnet: fcos needs maps of strides 8, 16 and 32", Boxes(64, 64, 3)}));

INSTANTIATE_TEST_SUITE_P(
    ResNet, BadModel,
    testing::Values(
        BadConfig{"resnet {}", "model.resnet.depth: is required"},
        BadConfig{"resnet { depth: 2 }", "model.resnet.depth: there is no layout of depth 2"},
        BadConfig{"resnet { depth: 19 }", "model.resnet.depth: there is no layout of depth 19"},
        BadConfig{"resnet { depth: 4000000004 }", "model.resnet.depth: there is no layout of depth 4000000004"},
        BadConfig{"resnet { depth: 8 widths: [8, 8] }", "model.resnet.widths: 2 are given, depth 8 has 3 stages"},
        BadConfig{"resnet { depth: 8 widths: [8, 0, 8] }", "model.resnet.widths[1]: 0 is not in [1, "},
        BadConfig{"resnet { depth: 8 widths: [8, 4, 8] shortcut: PADDED_IDENTITY }",
                  "model.resnet.shortcut: a padded identity can't lead from 8 to 4 channels"},
        BadConfig{"resnet { depth: 8 }", "model.resnet: needs images [height, width, channels]; what comes in is [4]",
                  Features(4, 2)},
        BadConfig{"resnet { depth: 8 stem: POOL }", "model.resnet.stem: 2 is larger than the image, 1x5",
                  Images(1, 5, 1)}));

INSTANTIATE_TEST_SUITE_P(
    Layers, BadModel,
    testing::Values(
        BadConfig{"layers {}", "model.layers.layer: is required"},
        BadConfig{"layers { layer { name: 'a' } }", "model.layers.layer[0]: does not say what the layer is"},
        BadConfig{"layers { layer { name: 'a/b' linear {} } }", "model.layers.layer[0].name: \"a/b\" has a character"},
        BadConfig{"layers { layer { flatten {} } layer { linear { features: 3 } } }",
                  "model.layers: the last layer makes [3] of a sample, the data asks for [10]"},
        BadConfig{"layers { layer { linear {} } }",
                  "model.layers: the last layer makes [8, 8, 10] of a sample, the data asks for [10]"},
        BadConfig{"layers { layer { conv { channels: 3 groups: 2 } } }",
                  "model.layers.layer[0].conv.groups: 2 does not divide both 1 input and 3 output channels"},
        BadConfig{"layers { layer { flatten {} } layer { conv { channels: 3 } } }",
                  "model.layers.layer[1].conv: needs images [height, width, channels]; what comes in is [64]"},
        BadConfig{"layers { layer { flatten {} } layer { global_average_pool {} } }",
                  "model.layers.layer[1].global_average_pool: needs images"},
        BadConfig{"layers { layer { max_pool { kernel: 2 padding: 2 } } }",
                  "model.layers.layer[0].max_pool: padding 2 is not less than the window, 2"},
        BadConfig{"layers { layer { average_pool { kernel: 9 } } }",
                  "model.layers.layer[0].average_pool: 9 is larger than the image, 8x8"},
        BadConfig{"layers { layer { batch_norm { momentum: 0 } } }",
                  "model.layers.layer[0].batch_norm.momentum: 0 is not in (0, 1]"},
        BadConfig{"layers { layer { batch_norm { epsilon: 0 } } }",
                  "model.layers.layer[0].batch_norm.epsilon: 0 is not a number > 0"},
        BadConfig{"layers { layer { layer_norm { epsilon: -1 } } }",
                  "model.layers.layer[0].layer_norm.epsilon: -1 is not a number > 0"},
        BadConfig{"layers { layer { dropout: 1 } }", "model.layers.layer[0].dropout: 1 is not in [0, 1)"},
        BadConfig{"layers { layer { flatten {} } layer { residual { layer { linear { features: 3 } } } } }",
                  "model.layers.layer[1].residual: its layers make [3] of [64], which"},
        BadConfig{"layers { layer { residual { layer { residual { layer { dropout: 2 } } } } } }",
                  "model.layers.layer[0].residual.layer[0].residual.layer[0].dropout: 2"},
        BadConfig{"layers { layer { flatten {} } layer { name: 'a' linear {} } layer { name: 'a' linear {} } }",
                  "model: a.weight: two values are named a.weight"}));

TEST(BatchNorm, OfASingleValueIsAnErrorInTrainingAlone) {
  const ModelConfig config = Parse("layers { layer { batch_norm {} } layer { linear {} } }");
  EXPECT_NO_THROW(Validate(config, Features(3, 2)));
  EXPECT_NO_THROW(Build(config, Features(3, 2), graph::Mode::kEvaluate, 1));
  EXPECT_THROW(Build(config, Features(3, 2), graph::Mode::kTrain, 1), Error);
}

}  // namespace
}  // namespace lockstep::models

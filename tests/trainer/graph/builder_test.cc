#include "trainer/graph/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "trainer/graph/op_table.h"

namespace lockstep::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A small network with every kind of parameter.
Graph Build(Mode mode, int64_t batch) {
  Builder b(mode, batch);
  ValueId x = b.Input("image", {8, 8, 3}, DType::kF32);
  x = b.Conv2d(x, "conv1", {4, 3, 1, 1, 1, false, {.deviation = 0.1f}});
  x = b.BatchNorm(x, "bn1", 1e-5f, 0.1f, 1);
  x = b.Activate(x, Activation::kRelu);
  x = b.MaxPool2d(x, 2, 2, 0);
  x = b.Flatten(x);
  x = b.Dropout(x, 0.5f);
  x = b.Linear(x, "fc", 10, true, {.deviation = 0.1f});
  b.Output("logits", x);
  b.SoftmaxCrossEntropy(x, 0.1f);
  return b.Finish();
}

std::vector<std::string> Kinds(const Graph& graph) {
  std::vector<std::string> kinds;
  for (const Op& op : graph.ops) kinds.push_back(Name(op.kind));
  return kinds;
}

std::vector<std::string> Names(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (ValueId id : values) names.push_back(graph.value(id).name + " " + graph.value(id).shape.ToString());
  return names;
}

TEST(Builder, ModesDifferInOpsAndNotInParameters) {
  const Graph train = Build(Mode::kTrain, 4), evaluate = Build(Mode::kEvaluate, 7), infer = Build(Mode::kInfer, 1);
  EXPECT_THAT(Kinds(train), ElementsAre("conv2d", "batch_norm_train", "activation", "max_pool2d", "flatten", "dropout",
                                        "linear", "softmax_cross_entropy"));
  EXPECT_THAT(Kinds(evaluate), ElementsAre("conv2d", "batch_norm_infer", "activation", "max_pool2d", "flatten",
                                           "linear", "softmax_cross_entropy"));
  EXPECT_THAT(Kinds(infer), ElementsAre("conv2d", "batch_norm_infer", "activation", "max_pool2d", "flatten", "linear"));
  for (const Graph* graph : {&train, &evaluate, &infer}) {
    EXPECT_THAT(Names(*graph, graph->parameters), ElementsAre("conv1.weight [4, 3, 3, 3]", "bn1.weight [4]",
                                                              "bn1.bias [4]", "fc.weight [10, 64]", "fc.bias [10]"));
    EXPECT_THAT(Names(*graph, graph->statistics), ElementsAre("bn1.running_mean [4]", "bn1.running_var [4]"));
  }
  EXPECT_EQ(train.statistic_updates.size(), 2u);
  EXPECT_TRUE(evaluate.statistic_updates.empty());
  EXPECT_TRUE(infer.losses.empty());
  EXPECT_EQ(infer.Find("label"), kNoValue);
  EXPECT_EQ(evaluate.value(evaluate.outputs.at("logits")).shape, (Shape{7, 10}));
}

TEST(Builder, StatisticUpdatesPairMeanAndVariance) {
  const Graph graph = Build(Mode::kTrain, 4);
  ASSERT_EQ(graph.statistic_updates.size(), 2u);
  EXPECT_EQ(graph.value(graph.statistic_updates[0].statistic).name, "bn1.running_mean");
  EXPECT_EQ(graph.value(graph.statistic_updates[0].lane_value).name, "bn1/mean");
  EXPECT_EQ(graph.value(graph.statistic_updates[1].statistic).name, "bn1.running_var");
  EXPECT_EQ(graph.value(graph.statistic_updates[1].lane_value).name, "bn1/variance");
}

TEST(Builder, BiasesAndNormsDoNotDecay) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  x = b.Linear(x, "fc", 5, true, {.deviation = 0.25f});
  x = b.BatchNorm(x, "bn", 1e-5f, 0.1f, 0);
  b.LayerNorm(x, "ln", 1e-5f);
  std::vector<std::string> decaying;
  for (const ParameterInfo& info : b.parameter_infos()) {
    if (info.decay) decaying.push_back(fmt::format("{}", info.value));
  }
  ASSERT_EQ(decaying.size(), 1u);
  EXPECT_EQ(b.parameter_infos()[0].initializer.deviation, 0.25f);
  EXPECT_EQ(b.parameter_infos()[2].initializer.value, 0) << "bn.weight starts as asked";
  EXPECT_EQ(b.parameter_infos()[5].initializer.value, 1) << "bn.running_var starts at 1";
  EXPECT_EQ(b.parameter_infos()[6].initializer.value, 1) << "ln.weight starts at 1";
}

TEST(Builder, RecurrentLayersHavePyTorchsParameters) {
  Builder b(Mode::kTrain, 4);
  const ValueId x = b.Input("features", {7, 6}, DType::kF32), length = b.Input("length", {}, DType::kI32);
  const RecurrentStates start{b.Input("hidden", {5}, DType::kF32), b.Input("cell", {5}, DType::kF32)};
  RecurrentStates last, last_gru;
  const ValueId there = b.Lstm(x, "rnn", {5, length}), back = b.Lstm(x, "rnn", {5, length, true});
  b.Lstm(b.Concat(there, back), "rnn", {5, length, true, 1, start}, &last);
  b.Gru(x, "gru", {3, kNoValue, false, 0, {}}, &last_gru);
  EXPECT_EQ(b.shape(last.hidden), (Shape{4, 5}));
  EXPECT_EQ(b.shape(last.cell), (Shape{4, 5}));
  EXPECT_EQ(b.shape(last_gru.hidden), (Shape{4, 3}));
  EXPECT_EQ(last_gru.cell, kNoValue);
  const std::vector<ParameterInfo> infos = b.parameter_infos();
  const Graph graph = b.Finish();
  for (const ParameterInfo& info : infos) {
    const bool gru = graph.value(info.value).name.starts_with("gru");
    EXPECT_FLOAT_EQ(info.initializer.uniform, 1 / std::sqrt(gru ? 3.0f : 5.0f));
    EXPECT_EQ(info.decay, graph.value(info.value).shape.rank() == 2);
  }
  EXPECT_THAT(
      Names(graph, graph.parameters),
      ElementsAre("rnn.weight_ih_l0 [20, 6]", "rnn.weight_hh_l0 [20, 5]", "rnn.bias_ih_l0 [20]", "rnn.bias_hh_l0 [20]",
                  "rnn.weight_ih_l0_reverse [20, 6]", "rnn.weight_hh_l0_reverse [20, 5]", "rnn.bias_ih_l0_reverse [20]",
                  "rnn.bias_hh_l0_reverse [20]", "rnn.weight_ih_l1_reverse [20, 10]",
                  "rnn.weight_hh_l1_reverse [20, 5]", "rnn.bias_ih_l1_reverse [20]", "rnn.bias_hh_l1_reverse [20]",
                  "gru.weight_ih_l0 [9, 6]", "gru.weight_hh_l0 [9, 3]", "gru.bias_ih_l0 [9]", "gru.bias_hh_l0 [9]"));
}

TEST(Builder, ConvolutionsOverPlacesAreWindowsAndALinearLayer) {
  Builder b(Mode::kTrain, 2);
  const ValueId y = b.Conv1d(b.Input("features", {9, 4}, DType::kF32), "conv", {6, 3, 2, 1, true, {.deviation = 0.5f}});
  EXPECT_EQ(b.shape(y), (Shape{2, 5, 6}));
  EXPECT_EQ(b.shape(b.ArgMax(y)), (Shape{2, 5}));
  const Graph graph = b.Finish();
  EXPECT_THAT(Names(graph, graph.parameters), ElementsAre("conv.weight [6, 12]", "conv.bias [6]"));
  EXPECT_THAT(Kinds(graph), ElementsAre("windows", "linear", "arg_max"));
}

TEST(Builder, LayerKeysCountDropoutsFromOne) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Input("features", {6}, DType::kF32);
  x = b.Dropout(x, 0);
  x = b.Dropout(x, 0.5f);
  b.Dropout(x, 0.25f);
  const Graph graph = b.Finish();
  ASSERT_EQ(graph.ops.size(), 2u) << "a dropout of nothing is no op";
  EXPECT_EQ(graph.ops[0].as<DropoutAttributes>().layer_key, 2u);
  EXPECT_EQ(graph.ops[1].as<DropoutAttributes>().layer_key, 3u);
  EXPECT_EQ(graph.ops[0].inputs[1], graph.ops[1].inputs[1]) << "one step block serves all";
}

TEST(Builder, FlattenIsAReshapeWhereNoElementMoves) {
  Builder b(Mode::kTrain, 2);
  const ValueId grey = b.Flatten(b.Input("grey", {4, 4, 1}, DType::kF32));
  const ValueId pixel = b.Flatten(b.Input("pixel", {1, 1, 5}, DType::kF32));
  const ValueId colour = b.Flatten(b.Input("colour", {4, 4, 3}, DType::kF32));
  EXPECT_EQ(b.shape(grey), (Shape{2, 16}));
  EXPECT_EQ(b.shape(pixel), (Shape{2, 5}));
  EXPECT_EQ(b.shape(colour), (Shape{2, 48}));
  EXPECT_EQ(b.Flatten(colour), colour);
  EXPECT_THAT(Kinds(b.Finish()), ElementsAre("reshape", "reshape", "flatten"));
}

TEST(Builder, LossesShareInputsAndGetAnIndexEach) {
  Builder b(Mode::kTrain, 2);
  const ValueId x = b.Input("features", {3}, DType::kF32);
  b.SoftmaxCrossEntropy(b.Linear(x, "a", 4, true, {}), 0);
  b.SoftmaxCrossEntropy(b.Linear(x, "b", 4, true, {}), 0);
  b.MeanSquaredError(b.Linear(x, "c", 1, true, {}));
  const Graph graph = b.Finish();
  ASSERT_EQ(graph.losses.size(), 3u);
  EXPECT_EQ(graph.losses[0].name, "loss");
  EXPECT_EQ(graph.losses[2].name, "loss3");
  EXPECT_EQ(graph.counters.size(), 2u);
  std::vector<int> indices;
  for (const Op& op : graph.ops) {
    if (const auto* loss = std::get_if<LossAttributes>(&op.attributes)) indices.push_back(loss->loss);
  }
  EXPECT_THAT(indices, ElementsAre(0, 1, 2));
  EXPECT_EQ(graph.value(graph.Find("target")).shape, (Shape{2, 1}));
  EXPECT_EQ(graph.value(graph.Find("mask")).shape, (Shape{2}));
}

TEST(Builder, DetectionLossesHaveTheirNamesAndAnIndexEach) {
  const auto build = [](Mode mode) {
    Builder b(mode, 2);
    const ValueId map = b.Conv2d(b.Input("image", {5, 6, 2}, DType::kF32), "map", {4, 3, 1, 1, 1, true, {}});
    const ValueId cell = b.Input("cell", {5, 6}, DType::kI32), weight = b.Input("weight", {5, 6}, DType::kF32);
    b.FocalLoss("centers", map, cell, b.Input("mask", {}, DType::kF32), {.positive = 0.25f, .loss = 3});
    b.BoxLoss("boxes", map, b.Input("sides", {5, 6, 4}, DType::kF32), weight, {.factor = 2, .loss = 3});
    b.MeanSquaredError(b.GlobalAveragePool(map));
    return b.Finish();
  };
  const Graph graph = build(Mode::kTrain);
  ASSERT_EQ(graph.losses.size(), 3u);
  EXPECT_EQ(graph.losses[0].name, "centers");
  EXPECT_EQ(graph.losses[1].name, "boxes");
  EXPECT_EQ(graph.losses[2].name, "loss3");
  EXPECT_EQ(graph.ops[1].as<FocalAttributes>(), (FocalAttributes{.positive = 0.25f, .loss = 0}));
  EXPECT_EQ(graph.ops[2].as<BoxLossAttributes>(), (BoxLossAttributes{.factor = 2, .loss = 1}));
  EXPECT_EQ(graph.ops.back().as<LossAttributes>().loss, 2);
  EXPECT_TRUE(build(Mode::kInfer).losses.empty());
}

TEST(Builder, TemporalClassificationIsALossAndCountsWhatHasNoAlignment) {
  const auto build = [](Mode mode) {
    Builder b(mode, 2);
    const ValueId logits = b.Linear(b.Input("features", {7, 3}, DType::kF32), "fc", 5, true, {});
    const ValueId label = b.Input("label", {4}, DType::kI32), length = b.Input("length", {}, DType::kI32);
    b.Ctc(logits, label, length, b.Input("label_length", {}, DType::kI32));
    return b.Finish();
  };
  const Graph graph = build(Mode::kTrain);
  ASSERT_EQ(graph.losses.size(), 1u);
  EXPECT_EQ(graph.losses[0].name, "loss");
  EXPECT_EQ(graph.value(graph.losses[0].sum).dtype, DType::kF64);
  ASSERT_EQ(graph.counters.size(), 1u);
  EXPECT_EQ(graph.counters[0].name, "impossible");
  EXPECT_EQ(graph.value(graph.counters[0].count).dtype, DType::kI64);
  EXPECT_TRUE(build(Mode::kInfer).losses.empty());
}

TEST(Builder, RejectsWhatDoesNotFitAndNamesTheLayer) {
  const auto message = [](auto build) -> std::string {
    Builder b(Mode::kTrain, 4);
    try {
      build(b, b.Input("image", {8, 8, 3}, DType::kF32));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                b.Conv2d(x, "c1", {4, 9, 1, 0, 1, false, {}});
              }),
              ::testing::AllOf(HasSubstr("c1"), HasSubstr("window of 9")));
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                b.Conv2d(x, "c1", {4, 3, 1, 0, 2, false, {}});
              }),
              ::testing::AllOf(HasSubstr("c1"), HasSubstr("2 groups")));
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                b.ConvTranspose2d(x, "up", {.out = 4, .kernel = 2, .stride = {2, 1}, .output_padding = 1});
              }),
              ::testing::AllOf(HasSubstr("up"), HasSubstr("output padding 1"), HasSubstr("stride of 2x1")));
  EXPECT_THAT(message([](Builder& b, ValueId x) { b.ConvTranspose2d(x, "up", {.out = 4, .kernel = 2, .padding = 5}); }),
              ::testing::AllOf(HasSubstr("up"), HasSubstr("[4, -1, -1, 4]")));
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                b.Conv2d(b.Flatten(x), "c1", {4, 3, 1, 0, 1, false, {}});
              }),
              ::testing::AllOf(HasSubstr("c1"), HasSubstr("[4, 192]")));
  EXPECT_THAT(message([](Builder& b, ValueId x) {
                b.Linear(b.Flatten(x), "fc", 4, true, {});
                b.Linear(b.Flatten(x), "fc", 4, true, {});
              }),
              HasSubstr("two values are named fc.weight"));
  EXPECT_THAT(message([](Builder& b, ValueId x) { b.Linear(b.Flatten(x), "fc", 0, true, {}); }), HasSubstr("[0, 192]"));
  EXPECT_THAT(message([](Builder& b, ValueId x) { b.Add(x, b.Flatten(x)); }), HasSubstr("[4, 8, 8, 3]"));
}

}  // namespace
}  // namespace lockstep::graph

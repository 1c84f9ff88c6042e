// Autodiff against central differences in double precision: every op that has a gradient, and small whole models with
// and without fused activations.
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "tests/trainer/kernels/differences.h"
#include "tests/trainer/kernels/model_cases.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep {
namespace {

using graph::Activation;
using graph::Builder;
using graph::Graph;
using graph::OpKind;
using graph::ValueId;

std::set<OpKind> Kinds(const Graph& graph) {
  std::set<OpKind> kinds;
  for (const graph::Op& op : graph.ops) kinds.insert(op.kind);
  return kinds;
}

ValueId Close(Builder& builder, ValueId x) { return builder.Linear(builder.Flatten(x), "fc", 3, true, {0, 1}); }

/// A sample's 144 channels as a sequence of `places`; one place: as a vector.
ValueId Places(Builder& builder, ValueId x, int64_t places) {
  return places == 1 ? builder.Reshape(x, {4, 144}) : builder.Reshape(x, {4, places, 144 / places});
}

/// x beside an embedding of 6 places, with positions of shape `position` where it has a rank.
ValueId Embedded(Builder& builder, ValueId x, const Shape& position, float scale, bool sinusoids) {
  const ValueId id = builder.Input("id", {6}, DType::kI32);
  const ValueId table = builder.Parameter("table", {3, 6}, {0, 1}, false);
  const ValueId positions =
      position.rank() > 0 ? builder.Parameter("position", position, {0, 1}, false) : graph::kNoValue;
  const ValueId y = builder.Embedding(id, "embedding", table, positions, {.scale = scale, .sinusoids = sinusoids});
  return builder.Concat(Places(builder, x, 1), builder.Reshape(y, {4, 36}));
}

ValueId SelfAttention(Builder& builder, ValueId x, const graph::AttentionAttributes& attributes, bool lengths) {
  const ValueId length = lengths ? builder.Input("length", {}, DType::kI32) : graph::kNoValue;
  const ValueId y = builder.Attention(Places(builder, x, 12), graph::kNoValue, length, attributes);
  const int64_t heads = attributes.heads, all = heads + 2 * attributes.kv_heads;
  return builder.Reshape(y, {4, 144 / all * heads});
}

std::vector<ModelCase> ModelCases() {
  std::vector<ModelCase> cases = {
      {"linear", OpKind::kLinear, [](Builder& b, ValueId x) { return b.Linear(b.Flatten(x), "linear", 5, true, {}); }},
      {"linear_without_bias", OpKind::kLinear,
       [](Builder& b, ValueId x) { return b.Linear(b.Flatten(x), "linear", 5, false, {}); }},
      {"convolution", OpKind::kConv2d,
       [](Builder& b, ValueId x) {
         return b.Conv2d(x, "tried", {3, 3, 1, 1, 1, true, {}});
       }},
      {"strided_convolution", OpKind::kConv2d,
       [](Builder& b, ValueId x) {
         return b.Conv2d(x, "tried", {2, 3, 2, 1, 1, false, {}});
       }},
      {"grouped_convolution", OpKind::kConv2d,
       [](Builder& b, ValueId x) {
         return b.Conv2d(x, "tried", {6, 2, 2, 0, 2, true, {}});
       }},
      {"depthwise_convolution", OpKind::kConv2d,
       [](Builder& b, ValueId x) {
         return b.Conv2d(x, "tried", {4, 3, 1, 1, 4, true, {}});
       }},
      {"dilated_conv", OpKind::kConv2d,
       [](Builder& b, ValueId x) {
         return b.Conv2d(x, "tried",
                         {.out = 3, .kernel = {3, 2}, .stride = {1, 2}, .padding = {2, 0}, .dilation = {2, 1}});
       }},
      {"transposed_conv", OpKind::kConv2dInputGrad,
       [](Builder& b, ValueId x) {
         return b.ConvTranspose2d(x, "tried", {.out = 3, .kernel = 3, .stride = 2, .padding = 1, .output_padding = 1});
       }},
      {"transposed_conv_in_groups", OpKind::kConv2dInputGrad,
       [](Builder& b, ValueId x) {
         return b.ConvTranspose2d(x, "tried",
                                  {.out = 6, .kernel = {2, 3}, .stride = {1, 2}, .groups = 2, .dilation = {2, 1}});
       }},
      {"max_pool", OpKind::kMaxPool2d, [](Builder& b, ValueId x) { return b.MaxPool2d(x, 2, 2, 0); }},
      {"overlapping_max_pool", OpKind::kMaxPool2d, [](Builder& b, ValueId x) { return b.MaxPool2d(x, 3, 2, 1); }},
      {"average_pool", OpKind::kAveragePool2d, [](Builder& b, ValueId x) { return b.AveragePool2d(x, 2, 2, 0); }},
      {"overlapping_average_pool", OpKind::kAveragePool2d,
       [](Builder& b, ValueId x) { return b.AveragePool2d(x, 3, 2, 1); }},
      {"global_average_pool", OpKind::kGlobalAveragePool, [](Builder& b, ValueId x) { return b.GlobalAveragePool(x); }},
      {"batch_norm", OpKind::kBatchNormTrain,
       [](Builder& b, ValueId x) { return b.BatchNorm(x, "norm", 1e-3f, 0.1f, 1); }},
      {"group_norm", OpKind::kGroupNorm, [](Builder& b, ValueId x) { return b.GroupNorm(x, "norm", 2, 1e-3f); }},
      {"layer_norm", OpKind::kLayerNorm, [](Builder& b, ValueId x) { return b.LayerNorm(x, "norm", 1e-3f); }},
      {"layer_norm_without_bias", OpKind::kLayerNorm,
       [](Builder& b, ValueId x) { return b.LayerNorm(x, "norm", 1e-3f, false); }},
      {"rms_norm", OpKind::kRmsNorm, [](Builder& b, ValueId x) { return b.RmsNorm(x, "norm", 1e-3f); }},
      {"relu", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kRelu); }},
      {"gelu", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kGelu); }},
      {"gelu_tanh", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kGeluTanh); }},
      {"silu", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kSilu); }},
      {"tanh", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kTanh); }},
      {"sigmoid", OpKind::kActivation, [](Builder& b, ValueId x) { return b.Activate(x, Activation::kSigmoid); }},
      {"dropout", OpKind::kDropout, [](Builder& b, ValueId x) { return b.Dropout(x, 0.4f); }},
      {"residual_sum", OpKind::kAdd,
       [](Builder& b, ValueId x) {
         return b.Add(x, b.Conv2d(x, "tried", {4, 3, 1, 1, 1, true, {}}));
       }},
      {"sum_with_itself", OpKind::kAdd, [](Builder& b, ValueId x) { return b.Add(x, x); }},
      {"concat", OpKind::kConcat,
       [](Builder& b, ValueId x) {
         return b.Concat(x, b.Conv2d(x, "tried", {3, 3, 1, 1, 1, true, {}}));
       }},
      {"concat_with_itself", OpKind::kConcat, [](Builder& b, ValueId x) { return b.Concat(x, x); }},
      {"reshape", OpKind::kReshape,
       [](Builder& b, ValueId x) {
         return b.Reshape(x, {4, 144});
       }},
      {"embedding", OpKind::kEmbedding,
       [](Builder& b, ValueId x) {
         return Embedded(b, x, {6, 6}, 1, false);
       }},
      {"embedding_with_positions", OpKind::kEmbedding,
       [](Builder& b, ValueId x) {
         return Embedded(b, x, {8, 6}, 1, false);
       }},
      {"scaled_embedding_with_sinusoids", OpKind::kEmbedding,
       [](Builder& b, ValueId x) { return Embedded(b, x, {}, 2.5f, true); }},
      {"rotary", OpKind::kRotary,
       [](Builder& b, ValueId x) {
         return Places(b, b.Rotary(Places(b, x, 9), {2, 6}), 1);
       }},
      {"attention", OpKind::kAttention,
       [](Builder& b, ValueId x) {
         return SelfAttention(b, x, {2, 1}, false);
       }},
      {"causal_attention", OpKind::kAttention,
       [](Builder& b, ValueId x) {
         return SelfAttention(b, x, {2, 1, true}, false);
       }},
      {"attention_with_lengths", OpKind::kAttention,
       [](Builder& b, ValueId x) {
         return SelfAttention(b, x, {1, 1, true}, true);
       }},
      {"attention_to_a_memory", OpKind::kAttention,
       [](Builder& b, ValueId x) {
         const ValueId length = b.Input("length", {}, DType::kI32);
         return Places(b, b.Attention(Places(b, x, 12), Places(b, x, 6), length, {2, 2}), 1);
       }},
      {"lstm", OpKind::kLstm,
       [](Builder& b, ValueId x) {
         return Places(b, b.Lstm(Places(b, x, 12), "rnn", {12, graph::kNoValue}), 1);
       }},
      {"lstm_both_ways_with_lengths", OpKind::kLstm,
       [](Builder& b, ValueId x) {
         const ValueId places = Places(b, x, 6), length = b.Input("length", {}, DType::kI32);
         const ValueId there = b.Lstm(places, "rnn", {12, length}), back = b.Lstm(places, "rnn", {12, length, true});
         return Places(b, b.Lstm(b.Concat(there, back), "rnn", {24, length, true, 1}), 1);
       }},
      {"lstm_from_states", OpKind::kLstm,
       [](Builder& b, ValueId x) {
         const graph::RecurrentStates start{b.Input("hidden", {12}, DType::kF32), b.Input("cell", {12}, DType::kF32)};
         return Places(b, b.Lstm(Places(b, x, 12), "rnn", {12, graph::kNoValue, true, 0, start}), 1);
       }},
      {"gru", OpKind::kGru,
       [](Builder& b, ValueId x) {
         return Places(b, b.Gru(Places(b, x, 12), "rnn", {12, graph::kNoValue}), 1);
       }},
      {"gru_with_lengths_and_states", OpKind::kGru,
       [](Builder& b, ValueId x) {
         const ValueId places = Places(b, x, 6), length = b.Input("length", {}, DType::kI32);
         const graph::RecurrentStates start{b.Input("hidden", {12}, DType::kF32), graph::kNoValue};
         const ValueId there = b.Gru(places, "rnn", {12, length, false, 0, start});
         const ValueId back = b.Gru(places, "rnn", {12, length, true, 0, start});
         return Places(b, b.Concat(there, back), 1);
       }},
      {"windows", OpKind::kWindows,
       [](Builder& b, ValueId x) {
         const ValueId y = b.Conv1d(Places(b, x, 12), "conv", {5, 4, 3, 2, true, {}});
         return b.Reshape(y, {4, 25});
       }},
      {"swiglu", OpKind::kSwiGlu, [](Builder& b, ValueId x) { return b.SwiGlu(x); }},
      {"flatten", OpKind::kFlatten, [](Builder& b, ValueId x) { return b.Flatten(x); }},
      {"pad_channels", OpKind::kPadChannels, [](Builder& b, ValueId x) { return b.PadChannels(x, 2, 7); }},
      {"enlarged", OpKind::kResizeNearest, [](Builder& b, ValueId x) { return b.ResizeNearest(x, 12, 9); }},
      {"reduced", OpKind::kResizeNearest, [](Builder& b, ValueId x) { return b.ResizeNearest(x, 4, 3); }},
      {"enlarged_bilinearly", OpKind::kResizeLinear,
       [](Builder& b, ValueId x) { return b.ResizeLinear(x, 11, 9, false); }},
      {"reduced_bilinearly", OpKind::kResizeLinear,
       [](Builder& b, ValueId x) { return b.ResizeLinear(x, 4, 3, true); }},
  };
  for (const ModelCase& model : TensorModelCases()) cases.push_back(model);
  return cases;
}

/// Nothing that differentiates by central differences may stand at a kink: random parameters don't.
Graph SmallModel(const ModelCase& model, bool cross_entropy) {
  Builder builder(graph::Mode::kTrain, 4);
  const ValueId image = builder.Input("image", {6, 6, 2}, DType::kF32);
  const ValueId x = builder.Conv2d(image, "first", {4, 3, 1, 1, 1, true, {0, 1}});
  const ValueId y = Close(builder, model.layers(builder, x));
  if (cross_entropy)
    builder.SoftmaxCrossEntropy(y, 0.1f);
  else
    builder.MeanSquaredError(y);
  return builder.Finish();
}

class OpGradientTest : public testing::TestWithParam<ModelCase> {};

TEST_P(OpGradientTest, FollowsFromDifferences) {
  for (const bool cross_entropy : {true, false}) {
    const Graph forward = SmallModel(GetParam(), cross_entropy);
    ASSERT_TRUE(Kinds(forward).contains(GetParam().kind));
    ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradientTest, testing::ValuesIn(ModelCases()),
                         [](const auto& info) { return info.param.name; });

TEST(GradientTest, OfFusedOpsFollowsFromDifferences) {
  for (const auto targets : {graph::RowTargets::kLabel, graph::RowTargets::kMixed}) {
    Builder b(graph::Mode::kTrain, 4);
    const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "x", 9, true, {0, 1});
    const ValueId y = b.Add(x, b.Linear(b.LayerNorm(x, "norm1", 1e-3f), "branch1", 9, true, {0, 1}));
    const ValueId z = b.Add(y, b.Linear(b.RmsNorm(y, "norm2", 1e-3f), "branch2", 9, true, {0, 1}));
    b.SoftmaxCrossEntropy(b.Linear(b.LayerNorm(z, "norm3", 1e-3f), "classes", 3, true, {0, 1}), 0.1f, targets);
    const Graph forward = b.Finish();
    const Graph fused = passes::FuseForDevice(passes::RemoveDeadOps(passes::AddGradients(forward, {})));
    EXPECT_EQ(fused.ops.size() + 5, passes::RemoveDeadOps(passes::AddGradients(forward, {})).ops.size());
    EXPECT_NEAR(ScaledLoss(fused, RandomValues(forward)), ScaledLoss(forward, RandomValues(forward)), 1e-12);
    ExpectGradientsOf(forward, fused);
  }
}

TEST(GradientTest, OfFusedBatchNormsFollowsFromDifferences) {
  Builder b(graph::Mode::kTrain, 4);
  const auto norm = [&](ValueId x, const std::string& name) { return b.BatchNorm(x, name, 1e-3f, 0.1f, 1); };
  const auto relu = [&](ValueId x) { return b.Activate(x, Activation::kRelu); };
  ValueId x = relu(norm(b.Linear(b.Input("features", {6}, DType::kF32), "fc0", 9, false, {0, 1}), "bn0"));
  const ValueId branch = norm(b.Linear(x, "fc1", 9, false, {0, 1}), "bn1");
  x = relu(b.Add(branch, norm(b.Linear(x, "down", 9, false, {0, 1}), "down_bn")));
  x = relu(b.Add(norm(b.Linear(x, "fc2", 9, false, {0, 1}), "bn2"), x));
  b.SoftmaxCrossEntropy(b.Linear(x, "classes", 3, true, {0, 1}), 0);
  const Graph forward = passes::FuseActivations(b.Finish(), true);
  const Graph fused = passes::FuseForDevice(passes::RemoveDeadOps(passes::AddGradients(forward, {})));
  EXPECT_TRUE(Kinds(fused).contains(OpKind::kBatchNormAddTrain));
  EXPECT_TRUE(Kinds(fused).contains(OpKind::kBatchNormAddGrad));
  EXPECT_NEAR(ScaledLoss(fused, RandomValues(forward)), ScaledLoss(forward, RandomValues(forward)), 1e-12);
  ExpectGradientsOf(forward, fused);
}

TEST(GradientTest, EveryOpWithAGradientIsTried) {
  std::set<OpKind> tried = {OpKind::kSoftmaxCrossEntropy,
                            OpKind::kMeanSquaredError,
                            OpKind::kCtc,
                            OpKind::kFocalLoss,
                            OpKind::kBoxLoss,
                            OpKind::kSigmoidCrossEntropy,
                            OpKind::kBatchNormInfer,
                            OpKind::kUnary,
                            OpKind::kBinary,
                            OpKind::kWhere,
                            OpKind::kCast,
                            OpKind::kMeanLoss};  // tensor/gradient_test.cc
  for (const ModelCase& model : ModelCases()) tried.insert(model.kind);
  for (int i = 0; i < static_cast<int>(OpKind::kCount); ++i) {
    const auto kind = static_cast<OpKind>(i);
    if (graph::Row(kind).gradient == nullptr) continue;
    EXPECT_TRUE(tried.contains(kind)) << graph::Name(kind);
  }
}

/// A residual network with everything that usual ones have, and one block that is used by two branches.
Graph ResidualModel(Activation activation) {
  Builder builder(graph::Mode::kTrain, 4);
  ValueId x = builder.Input("image", {8, 8, 3}, DType::kF32);
  x = builder.Conv2d(x, "conv1", {4, 3, 1, 1, 1, false, {0, 1}});
  x = builder.Activate(builder.BatchNorm(x, "bn1", 1e-3f, 0.1f, 1), activation);
  ValueId branch = builder.Activate(builder.Conv2d(x, "conv2", {8, 3, 2, 1, 1, true, {0, 1}}), activation);
  branch = builder.BatchNorm(builder.Conv2d(branch, "conv3", {8, 3, 1, 1, 2, false, {0, 1}}), "bn3", 1e-3f, 0.1f, 1);
  x = builder.Activate(builder.Add(branch, builder.PadChannels(x, 2, 8)), activation);
  x = builder.Flatten(builder.AveragePool2d(builder.MaxPool2d(x, 2, 1, 0), 2, 2, 1));
  x = builder.Dropout(builder.Activate(builder.Linear(x, "fc1", 10, true, {0, 1}), activation), 0.3f);
  x = builder.Linear(builder.LayerNorm(x, "ln", 1e-3f), "fc2", 3, true, {0, 1});
  builder.SoftmaxCrossEntropy(x, 0.05f);
  return builder.Finish();
}

class ModelGradientTest : public testing::TestWithParam<Activation> {};

TEST_P(ModelGradientTest, FollowsFromDifferences) {
  const Graph forward = ResidualModel(GetParam());
  ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
}

TEST_P(ModelGradientTest, FollowsFromDifferencesWithFusedActivations) {
  const Graph forward = ResidualModel(GetParam());
  const Graph fused = passes::FuseActivations(forward, /*training=*/true);
  const bool fusible = graph::GradientFollowsFromResult(GetParam());
  EXPECT_EQ(fused.ops.size() < forward.ops.size(), fusible);
  ExpectGradientsOf(forward, passes::RemoveDeadOps(passes::AddGradients(fused, {})));
}

TEST_P(ModelGradientTest, FusionLeavesResultsAlone) {
  const Graph forward = ResidualModel(GetParam());
  const Graph fused = passes::FuseActivations(forward, /*training=*/false);
  EXPECT_LT(fused.ops.size(), forward.ops.size());
  const Values values = RandomValues(forward);
  EXPECT_DOUBLE_EQ(ScaledLoss(fused, values), ScaledLoss(forward, values));
}

TEST_P(ModelGradientTest, FrozenParametersHaveNone) {
  const Graph forward = ResidualModel(GetParam());
  const std::set<std::string> frozen = {"conv1.weight", "bn1.weight", "bn1.bias", "conv3.weight", "fc1.bias"};
  ExpectGradientsOf(forward, passes::AddGradients(forward, frozen), frozen);
}

INSTANTIATE_TEST_SUITE_P(Activations, ModelGradientTest,
                         testing::Values(Activation::kRelu, Activation::kGelu, Activation::kSilu, Activation::kTanh,
                                         Activation::kSigmoid),
                         [](const auto& info) { return graph::Name(info.param); });

/// Running statistics are what evaluations take.
Graph ModelOfRunningStatistics(Activation activation) {
  Builder builder(graph::Mode::kEvaluate, 4);
  const ValueId image = builder.Input("image", {6, 6, 2}, DType::kF32);
  const ValueId x = builder.Conv2d(image, "first", {4, 3, 1, 1, 1, true, {0, 1}});
  const ValueId y = builder.Activate(builder.BatchNorm(x, "norm", 1e-3f, 0.1f, 1), activation);
  builder.SoftmaxCrossEntropy(Close(builder, y), 0.1f);
  return builder.Finish();
}

TEST(GradientTest, ThroughFrozenBatchNormFollowsFromDifferences) {
  const std::set<std::string> frozen = {"norm.weight", "norm.bias"};
  for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
    const Graph forward = ModelOfRunningStatistics(activation);
    ExpectGradientsOf(forward, passes::AddGradients(forward, frozen), frozen);
    const Graph fused = passes::FuseActivations(forward, /*training=*/true);
    EXPECT_EQ(fused.ops.size() < forward.ops.size(), activation == Activation::kRelu);
    ExpectGradientsOf(forward, passes::RemoveDeadOps(passes::AddGradients(fused, frozen)), frozen);
  }
}

TEST(GradientTest, RunningStatisticsWithoutFrozenParametersAreRefused) {
  const Graph forward = ModelOfRunningStatistics(Activation::kNone);
  for (const std::set<std::string>& frozen : {std::set<std::string>{}, {"norm.weight"}, {"norm.bias"}}) {
    try {
      passes::AddGradients(forward, frozen);
      ADD_FAILURE() << "parameters without a gradient went by";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_NE(std::string(error.what()).find("weight and bias"), std::string::npos) << error.what();
      EXPECT_NE(error.hint().find("freeze"), std::string::npos) << error.hint();
    }
  }
}

}  // namespace
}  // namespace lockstep

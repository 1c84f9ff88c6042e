#include "trainer/graph/op_table.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/trainer/graph/operands.h"

namespace lockstep::graph {
namespace {

TEST(OpTable, EveryKindHasARowOfItsOwnName) {
  std::set<std::string> names;
  for (int kind = 0; kind < static_cast<int>(OpKind::kCount); ++kind) {
    const OpRow& row = Row(static_cast<OpKind>(kind));
    EXPECT_EQ(row.kind, static_cast<OpKind>(kind));
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(ParseOperands(row.inputs).empty(), row.kind == OpKind::kFill) << row.name;
    EXPECT_FALSE(ParseOperands(row.outputs).empty()) << row.name;
    EXPECT_FALSE(ParseOperands(row.outputs)[0].optional) << row.name;
    EXPECT_LT(row.in_place, static_cast<int>(ParseOperands(row.inputs).size())) << row.name;
  }
}

TEST(OpTable, OperandsAreParsedWithTheirMarks) {
  const auto operands = ParseOperands("x, weight, bias?");
  ASSERT_EQ(operands.size(), 3u);
  EXPECT_EQ(operands[1].name, "weight");
  EXPECT_FALSE(operands[1].optional);
  EXPECT_EQ(operands[2].name, "bias");
  EXPECT_TRUE(operands[2].optional);
}

TEST(OpTable, WindowsAreCountedAsPyTorchCountsThem) {
  EXPECT_EQ(WindowOutput(28, 5, 1, 0), 24);
  EXPECT_EQ(WindowOutput(28, 2, 2, 0), 14);
  EXPECT_EQ(WindowOutput(7, 2, 2, 0), 3);
  EXPECT_EQ(WindowOutput(224, 7, 2, 3), 112);
  EXPECT_EQ(WindowOutput(2, 3, 1, 0), 0);
  EXPECT_EQ(WindowOutput(1, 4, 3, 0), 0);
  EXPECT_EQ(WindowOutput(28, 3, 1, 2, 2), 28);
  EXPECT_EQ(WindowOutput(6, 3, 1, 0, 3), 0);
}

TEST(LinearShapes, KeepLeadingDimensions) {
  Operands v;
  const ValueId weight = v.Add({5, 3}), bias = v.Add({5});
  EXPECT_EQ(v.Infer(OpKind::kLinear, {v.Add({4, 3}), weight, bias}, LinearAttributes{}), "f32 [4, 5]");
  EXPECT_EQ(v.Infer(OpKind::kLinear, {v.Add({4, 7, 3}), weight, kNoValue}, LinearAttributes{}), "f32 [4, 7, 5]");
  EXPECT_EQ(v.Infer(OpKind::kLinearInputGrad, {v.Add({4, 7, 5}), weight}, LinearAttributes{}), "f32 [4, 7, 3]");
  EXPECT_EQ(v.Infer(OpKind::kLinearWeightGrad, {v.Add({4, 5}), v.Add({4, 3})}, LinearAttributes{}),
            "f32 [5, 3], f32 [5]");
}

TEST(LinearShapes, RejectionsNameBothShapes) {
  Operands v;
  const ValueId x = v.Add({4, 3}), weight = v.Add({5, 2});
  ExpectMentions(v.Infer(OpKind::kLinear, {x, weight, kNoValue}, LinearAttributes{}),
                 {"op: ", "linear", "[4, 3]", "[5, 2]"});
  ExpectMentions(v.Infer(OpKind::kLinear, {x, v.Add({5, 3}), v.Add({4})}, LinearAttributes{}), {"bias", "[4]", "[5]"});
  ExpectMentions(v.Infer(OpKind::kLinear, {v.Add({4, 2}, DType::kU8), weight, kNoValue}, LinearAttributes{}), {"u8"});
  ExpectMentions(v.Infer(OpKind::kLinear, {x, v.Add({3}), kNoValue}, LinearAttributes{}), {"weight", "[3]", "2"});
  ExpectMentions(v.Infer(OpKind::kLinearWeightGrad, {v.Add({4, 5}), v.Add({3, 2})}, LinearAttributes{}),
                 {"[4, 5]", "[3, 2]"});
  ExpectMentions(v.Infer(OpKind::kLinearInputGrad, {v.Add({4, 4}), weight}, LinearAttributes{}), {"[4, 4]", "[5, 2]"});
}

TEST(Conv2dShapes, FollowStridePaddingAndGroups) {
  Operands v;
  const ValueId x = v.Add({2, 9, 7, 6});
  EXPECT_EQ(v.Infer(OpKind::kConv2d, {x, v.Add({4, 6, 3, 3}), v.Add({4})}, Conv2dAttributes{.padding = 1}),
            "f32 [2, 9, 7, 4]");
  EXPECT_EQ(v.Infer(OpKind::kConv2d, {x, v.Add({4, 3, 3, 5}), kNoValue}, Conv2dAttributes{.stride = 2, .groups = 2}),
            "f32 [2, 4, 2, 4]");
  EXPECT_EQ(v.Infer(OpKind::kConv2dInputGrad, {v.Add({2, 4, 2, 4}), v.Add({4, 3, 3, 5})},
                    Conv2dAttributes{.stride = 2, .groups = 2, .result = {2, 9, 7, 6}}),
            "f32 [2, 9, 7, 6]");
  EXPECT_EQ(v.Infer(OpKind::kConv2dWeightGrad, {v.Add({2, 4, 2, 4}), x},
                    Conv2dAttributes{.stride = 2, .groups = 2, .result = {4, 3, 3, 5}}),
            "f32 [4, 3, 3, 5], f32 [4]");
}

TEST(Conv2dShapes, RejectionsNameWhatDoesNotFit) {
  Operands v;
  const ValueId x = v.Add({2, 9, 7, 6});
  ExpectMentions(v.Infer(OpKind::kConv2d, {x, v.Add({4, 5, 3, 3}), kNoValue}, Conv2dAttributes{}),
                 {"[4, 5, 3, 3]", "[2, 9, 7, 6]"});
  ExpectMentions(v.Infer(OpKind::kConv2d, {x, v.Add({4, 2, 3, 3}), kNoValue}, Conv2dAttributes{.groups = 4}),
                 {"4 groups"});
  ExpectMentions(v.Infer(OpKind::kConv2d, {x, v.Add({4, 6, 3, 8}), kNoValue}, Conv2dAttributes{}),
                 {"window of 8", "[2, 9, 7, 6]"});
  ExpectMentions(v.Infer(OpKind::kConv2d, {v.Add({2, 9}), v.Add({4, 6, 3, 3}), kNoValue}, Conv2dAttributes{}),
                 {"[2, 9]", "4 dimensions"});
  ExpectMentions(v.Infer(OpKind::kConv2d, {x, v.Add({4, 6, 3, 3}), kNoValue}, Conv2dAttributes{.stride = 0}),
                 {"stride 0"});
  ExpectMentions(v.Infer(OpKind::kConv2dInputGrad, {v.Add({2, 4, 3, 4}), v.Add({4, 6, 3, 3})},
                         Conv2dAttributes{.stride = 2, .result = {2, 9, 9, 6}}),
                 {"dy", "[2, 4, 3, 4]", "[2, 4, 4, 4]"});
}

TEST(PoolShapes, WindowsMayBePaddedAndOverlap) {
  Operands v;
  const ValueId x = v.Add({2, 7, 7, 3});
  const Pool2dAttributes pool{.kernel = 3, .stride = 2, .padding = 1, .result = {2, 7, 7, 3}};
  const ValueId y = v.Add({2, 4, 4, 3});
  EXPECT_EQ(v.Infer(OpKind::kMaxPool2d, {x}, pool), "f32 [2, 4, 4, 3], u8 [2, 4, 4, 3]");
  EXPECT_EQ(v.Infer(OpKind::kAveragePool2d, {x}, pool), "f32 [2, 4, 4, 3]");
  EXPECT_EQ(v.Infer(OpKind::kMaxPool2dGrad, {y, v.Add({2, 4, 4, 3}, DType::kU8)}, pool), "f32 [2, 7, 7, 3]");
  EXPECT_EQ(v.Infer(OpKind::kAveragePool2dGrad, {y}, pool), "f32 [2, 7, 7, 3]");
  EXPECT_EQ(v.Infer(OpKind::kGlobalAveragePool, {x}, NoAttributes{}), "f32 [2, 3]");
  EXPECT_EQ(v.Infer(OpKind::kGlobalAveragePoolGrad, {v.Add({2, 3})}, ReshapeAttributes{{2, 7, 7, 3}}),
            "f32 [2, 7, 7, 3]");
}

TEST(PoolShapes, RejectEmptyAndUncountableWindows) {
  Operands v;
  const ValueId x = v.Add({2, 7, 7, 3});
  ExpectMentions(v.Infer(OpKind::kAveragePool2d, {x}, Pool2dAttributes{.kernel = 2, .stride = 1, .padding = 2}),
                 {"padding 2", "[2, 7, 7, 3]"});
  ExpectMentions(v.Infer(OpKind::kMaxPool2d, {x}, Pool2dAttributes{.kernel = 8, .stride = 1}), {"window of 8"});
  ExpectMentions(v.Infer(OpKind::kMaxPool2d, {v.Add({1, 32, 32, 1})}, Pool2dAttributes{.kernel = 17, .stride = 1}),
                 {"17", "16x16"});
  ExpectMentions(v.Infer(OpKind::kMaxPool2dGrad, {v.Add({2, 3, 3, 3}), v.Add({2, 3, 3, 3})},
                         Pool2dAttributes{.kernel = 2, .stride = 2, .result = {2, 7, 7, 3}}),
                 {"index", "f32", "u8"});
}

TEST(NormShapes, VectorsHaveTheLastDimension) {
  Operands v;
  const ValueId x = v.Add({2, 4, 4, 3}), c = v.Add({3}), tokens = v.Add({2, 5, 3}), rows = v.Add({2, 5});
  EXPECT_EQ(v.Infer(OpKind::kBatchNormTrain, {x, c, c}, NormAttributes{}),
            "f32 [2, 4, 4, 3], f32 [3], f32 [3], f32 [3]");
  EXPECT_EQ(v.Infer(OpKind::kBatchNormInfer, {x, c, c, c, c}, NormAttributes{}), "f32 [2, 4, 4, 3]");
  EXPECT_EQ(v.Infer(OpKind::kBatchNormGrad, {x, x, c, c, c, kNoValue}, NormAttributes{}),
            "f32 [2, 4, 4, 3], f32 [3], f32 [3]");
  EXPECT_EQ(v.Infer(OpKind::kLayerNorm, {tokens, c, c}, NormAttributes{}), "f32 [2, 5, 3], f32 [2, 5], f32 [2, 5]");
  EXPECT_EQ(v.Infer(OpKind::kLayerNormGrad, {tokens, tokens, c, rows, rows}, NormAttributes{}),
            "f32 [2, 5, 3], f32 [3], f32 [3]");
}

TEST(NormShapes, RejectOtherChannelsAndUnknownVariance) {
  Operands v;
  const ValueId x = v.Add({2, 4, 4, 3}), c = v.Add({3}), d = v.Add({4});
  ExpectMentions(v.Infer(OpKind::kBatchNormTrain, {x, c, d}, NormAttributes{}), {"bias", "[4]", "[3]"});
  ExpectMentions(v.Infer(OpKind::kBatchNormTrain, {v.Add({1, 3}), c, c}, NormAttributes{}), {"[1, 3]", "fewer lanes"});
  ExpectMentions(v.Infer(OpKind::kBatchNormInfer, {x, c, c, c, d}, NormAttributes{}), {"running_var"});
  ExpectMentions(v.Infer(OpKind::kLayerNorm, {v.Add({3}), c, c}, NormAttributes{}), {"[3]"});
  ExpectMentions(v.Infer(OpKind::kLayerNormGrad, {v.Add({2, 3}), v.Add({2, 3}), c, c, c}, NormAttributes{}),
                 {"mean", "[3]", "[2]"});
}

TEST(NormShapes, LayerNormNeedsNoBiasAndRmsNormHasNone) {
  Operands v;
  const ValueId tokens = v.Add({2, 5, 3}), c = v.Add({3}), rows = v.Add({2, 5});
  EXPECT_EQ(v.Infer(OpKind::kLayerNorm, {tokens, c, kNoValue}, NormAttributes{}),
            "f32 [2, 5, 3], f32 [2, 5], f32 [2, 5]");
  EXPECT_EQ(v.Infer(OpKind::kRmsNorm, {tokens, c}, NormAttributes{}), "f32 [2, 5, 3], f32 [2, 5]");
  EXPECT_EQ(v.Infer(OpKind::kRmsNormGrad, {tokens, tokens, c, rows}, NormAttributes{}), "f32 [2, 5, 3], f32 [3]");
  ExpectMentions(v.Infer(OpKind::kRmsNormGrad, {tokens, tokens, c, c}, NormAttributes{}), {"inv_rms", "[3]", "[2, 5]"});
}

TEST(NormShapes, GroupsHaveStatisticsByImage) {
  Operands v;
  const ValueId x = v.Add({2, 5, 3, 12}, DType::kBF16), c = v.Add({12}), statistics = v.Add({2, 4});
  const GroupNormAttributes attributes{.groups = 4};
  EXPECT_EQ(v.Infer(OpKind::kGroupNorm, {x, c, c}, attributes), "bf16 [2, 5, 3, 12], f32 [2, 4], f32 [2, 4]");
  EXPECT_EQ(v.Infer(OpKind::kGroupNormGrad, {x, x, c, statistics, statistics}, attributes),
            "bf16 [2, 5, 3, 12], f32 [12], f32 [12]");
  EXPECT_EQ(v.Infer(OpKind::kBatchNormInferGrad, {x, c, c}, NormAttributes{}), "bf16 [2, 5, 3, 12]");
  ExpectMentions(v.Infer(OpKind::kGroupNorm, {x, c, c}, GroupNormAttributes{.groups = 5}), {"12 channels", "5 groups"});
  ExpectMentions(v.Infer(OpKind::kGroupNorm, {v.Add({2, 12}), c, c}, attributes), {"[2, 12]", "images"});
  ExpectMentions(v.Infer(OpKind::kGroupNorm, {x, c, v.Add({11})}, attributes), {"bias", "[11]", "[12]"});
  ExpectMentions(v.Infer(OpKind::kGroupNormGrad, {x, x, c, statistics, v.Add({2, 3})}, attributes),
                 {"inv_std", "[2, 3]", "[2, 4]"});
}

TEST(SequenceShapes, EmbeddingsAddTheTablesChannels) {
  Operands v;
  const ValueId id = v.Add({2, 5}, DType::kI32), table = v.Add({9, 3});
  EXPECT_EQ(v.Infer(OpKind::kEmbedding, {id, table, v.Add({7, 3})}, EmbeddingAttributes{}), "f32 [2, 5, 3]");
  EmbeddingAttributes lowered;
  lowered.result = DType::kBF16;
  EXPECT_EQ(v.Infer(OpKind::kEmbedding, {id, table, kNoValue}, lowered), "bf16 [2, 5, 3]");
  EmbeddingAttributes gradient;
  gradient.table = {9, 3}, gradient.position = {7, 3};
  EXPECT_EQ(v.Infer(OpKind::kEmbeddingGrad, {v.Add({2, 5, 3}), id}, gradient), "f32 [9, 3], f32 [7, 3]");
  ExpectMentions(v.Infer(OpKind::kEmbedding, {id, table, v.Add({4, 3})}, EmbeddingAttributes{}),
                 {"[4, 3]", "5 positions"});
  ExpectMentions(v.Infer(OpKind::kEmbedding, {v.Add({2, 5}), table, kNoValue}, EmbeddingAttributes{}), {"id", "i32"});
}

TEST(SequenceShapes, AttentionSplitsChannelsIntoHeads) {
  Operands v;
  const AttentionAttributes grouped{.heads = 4, .kv_heads = 2, .causal = true}, cross{.heads = 4, .kv_heads = 2};
  const ValueId x = v.Add({2, 5, 24}), y = v.Add({2, 5, 12}), lse = v.Add({2, 4, 5}), memory = v.Add({2, 7, 12});
  const ValueId length = v.Add({2}, DType::kI32);
  EXPECT_EQ(v.Infer(OpKind::kAttention, {x, kNoValue, length}, grouped), "f32 [2, 5, 12], f32 [2, 4, 5]");
  EXPECT_EQ(v.Infer(OpKind::kAttention, {y, memory, kNoValue}, cross), "f32 [2, 5, 12], f32 [2, 4, 5]");
  EXPECT_EQ(v.Infer(OpKind::kAttentionGrad, {y, y, memory, length, y, lse}, cross), "f32 [2, 5, 12], f32 [2, 7, 12]");
  ExpectMentions(v.Infer(OpKind::kAttention, {v.Add({2, 5, 23}), kNoValue, kNoValue}, grouped), {"23", "8 heads"});
  ExpectMentions(v.Infer(OpKind::kAttention, {y, v.Add({3, 7, 12}), kNoValue}, cross), {"memory", "[3, 7, 12]"});
  ExpectMentions(v.Infer(OpKind::kAttention, {x, kNoValue, v.Add({3}, DType::kI32)}, grouped), {"length", "[3]"});
}

TEST(CtcShapes, FollowLogitsAndLabels) {
  Operands v;
  const ValueId logits = v.Add({2, 9, 5}), label = v.Add({2, 4}, DType::kI32), length = v.Add({2}, DType::kI32);
  const auto ctc = [&](std::vector<ValueId> inputs) {
    return v.Infer(OpKind::kCtc, std::move(inputs), CtcAttributes{});
  };
  EXPECT_EQ(ctc({logits, label, length, length}), "f64 [], f32 [2, 9, 5], i64 []");
  EXPECT_EQ(ctc({v.Add({2, 9, 5}, DType::kBF16), label, length, length}), "f64 [], f32 [2, 9, 5], i64 []");
  EXPECT_EQ(v.Infer(OpKind::kCtcGrad, {logits, v.StepBlock()}, CtcAttributes{0, DType::kBF16}), "bf16 [2, 9, 5]");
  ExpectMentions(ctc({v.Add({2, 9, 1}), label, length, length}), {"[2, 9, 1]", "blank"});
  ExpectMentions(ctc({logits, v.Add({3, 4}, DType::kI32), length, length}), {"label", "[3, 4]", "[2, 4]"});
  ExpectMentions(ctc({logits, label, length, v.Add({2})}), {"label_length", "f32", "i32"});
}

TEST(RecurrentShapes, FollowGatesAndWeight) {
  Operands v;
  const RecurrentAttributes way{};
  const ValueId gates = v.Add({2, 5, 24}), weight = v.Add({24, 6}), bias = v.Add({24}), state = v.Add({2, 6});
  const ValueId y = v.Add({2, 5, 6}), length = v.Add({2}, DType::kI32), saved = v.Add({2, 5, 30});
  EXPECT_EQ(v.Infer(OpKind::kLstm, {gates, weight, bias, length, state, state}, way),
            "f32 [2, 5, 6], f32 [2, 5, 30], f32 [2, 6], f32 [2, 6]");
  EXPECT_EQ(v.Infer(OpKind::kLstmGrad, {y, y, saved, weight, length, state, kNoValue}, way),
            "f32 [2, 5, 24], f32 [24, 6], f32 [24]");
  EXPECT_EQ(v.Infer(OpKind::kGru, {gates, v.Add({24, 8}), kNoValue, kNoValue, kNoValue}, way),
            "f32 [2, 5, 8], f32 [2, 5, 32], f32 [2, 8]");
  EXPECT_EQ(v.Infer(OpKind::kGruGrad,
                    {v.Add({2, 5, 8}), v.Add({2, 5, 8}), v.Add({2, 5, 32}), v.Add({24, 8}), kNoValue, kNoValue}, way),
            "f32 [2, 5, 24], f32 [24, 8], f32 [24]");
  EXPECT_EQ(v.Infer(OpKind::kLstm, {v.Add({2, 5, 24}, DType::kBF16), weight, bias, length, state, state}, way),
            "bf16 [2, 5, 6], f32 [2, 5, 30], f32 [2, 6], f32 [2, 6]")
      << "what is added to stays float";
}

TEST(RecurrentShapes, RejectionsNameWhatDoesNotFit) {
  Operands v;
  const ValueId gates = v.Add({2, 5, 24}), weight = v.Add({24, 6}), state = v.Add({2, 6});
  const auto lstm = [&](std::vector<ValueId> inputs) {
    return v.Infer(OpKind::kLstm, std::move(inputs), RecurrentAttributes{});
  };
  ExpectMentions(lstm({v.Add({2, 5, 23}), weight, kNoValue, kNoValue, kNoValue, kNoValue}), {"gates", "23", "24"});
  ExpectMentions(lstm({gates, v.Add({24, 7}), kNoValue, kNoValue, kNoValue, kNoValue}),
                 {"weight", "[24, 7]", "[28, 7]"});
  ExpectMentions(lstm({gates, weight, v.Add({6}), kNoValue, kNoValue, kNoValue}), {"bias", "[6]", "[24]"});
  ExpectMentions(lstm({gates, weight, kNoValue, v.Add({2}), kNoValue, kNoValue}), {"length", "f32", "i32"});
  ExpectMentions(lstm({gates, weight, kNoValue, kNoValue, v.Add({3, 6}), state}), {"hidden", "[3, 6]", "[2, 6]"});
  ExpectMentions(lstm({gates, weight, kNoValue, kNoValue, state, v.Add({2, 5})}), {"cell", "[2, 5]"});
}

TEST(SequenceShapes, WindowsFollowKernelStrideAndPadding) {
  Operands v;
  const ValueId x = v.Add({2, 9, 4});
  EXPECT_EQ(v.Infer(OpKind::kWindows, {x}, WindowsAttributes{3, 2, 1, {}}), "f32 [2, 5, 12]");
  EXPECT_EQ(v.Infer(OpKind::kWindowsGrad, {v.Add({2, 5, 12})}, WindowsAttributes{3, 2, 1, {2, 9, 4}}), "f32 [2, 9, 4]");
  ExpectMentions(v.Infer(OpKind::kWindows, {x}, WindowsAttributes{12, 1, 1, {}}), {"12", "9"});
  ExpectMentions(v.Infer(OpKind::kWindows, {v.Add({2, 9})}, WindowsAttributes{3, 1, 0, {}}), {"[2, 9]", "3 dim"});
}

TEST(SequenceShapes, HalvesAndPairsMustComeOut) {
  Operands v;
  const ValueId x = v.Add({2, 5, 6});
  EXPECT_EQ(v.Infer(OpKind::kSwiGlu, {x}, NoAttributes{}), "f32 [2, 5, 3]");
  EXPECT_EQ(v.Infer(OpKind::kSwiGluGrad, {v.Add({2, 5, 3}), x}, NoAttributes{}), "f32 [2, 5, 6]");
  EXPECT_EQ(v.Infer(OpKind::kRotary, {x}, RotaryAttributes{.heads = 1, .head_size = 4}), "f32 [2, 5, 6]");
  ExpectMentions(v.Infer(OpKind::kSwiGlu, {v.Add({2, 5})}, NoAttributes{}), {"[2, 5]", "halves"});
  ExpectMentions(v.Infer(OpKind::kRotary, {x}, RotaryAttributes{.heads = 1, .head_size = 3}), {"3"});
  ExpectMentions(v.Infer(OpKind::kRotary, {x}, RotaryAttributes{.heads = 2, .head_size = 4}), {"2 heads of 4", "6"});
}

TEST(ElementwiseShapes, StayAndMustAgree) {
  Operands v;
  const ValueId x = v.Add({2, 3}), y = v.Add({3, 2});
  EXPECT_EQ(v.Infer(OpKind::kActivation, {x}, ActivationAttributes{}), "f32 [2, 3]");
  EXPECT_EQ(v.Infer(OpKind::kAdd, {x, x}, ActivationAttributes{Activation::kNone}), "f32 [2, 3]");
  EXPECT_EQ(v.Infer(OpKind::kDropout, {x, v.StepBlock()}, DropoutAttributes{.probability = 0.5f}), "f32 [2, 3]");
  ExpectMentions(v.Infer(OpKind::kAdd, {x, y}, ActivationAttributes{Activation::kNone}), {"[2, 3]", "[3, 2]"});
  ExpectMentions(v.Infer(OpKind::kActivationGrad, {x, y}, ActivationAttributes{}), {"[2, 3]", "[3, 2]"});
  ExpectMentions(v.Infer(OpKind::kDropout, {x, v.StepBlock()}, DropoutAttributes{.probability = 1}), {"probability 1"});
}

TEST(ReshapeShapes, KeepTheNumberOfElements) {
  Operands v;
  const ValueId x = v.Add({2, 5, 3, 4});
  EXPECT_EQ(v.Infer(OpKind::kReshape, {x}, ReshapeAttributes{{6, 20}}), "f32 [6, 20]");
  EXPECT_EQ(v.Infer(OpKind::kFlatten, {x}, NoAttributes{}), "f32 [2, 60]");
  EXPECT_EQ(v.Infer(OpKind::kFlattenGrad, {v.Add({2, 60})}, ReshapeAttributes{{2, 5, 3, 4}}), "f32 [2, 5, 3, 4]");
  EXPECT_EQ(v.Infer(OpKind::kPadChannels, {x}, PadChannelsAttributes{.stride = 2, .channels = 8}), "f32 [2, 3, 2, 8]");
  EXPECT_EQ(v.Infer(OpKind::kPadChannelsGrad, {v.Add({2, 3, 2, 8})},
                    PadChannelsAttributes{.stride = 2, .channels = 8, .result = {2, 5, 3, 4}}),
            "f32 [2, 5, 3, 4]");
  ExpectMentions(v.Infer(OpKind::kReshape, {x}, ReshapeAttributes{{6, 21}}), {"[2, 5, 3, 4]", "120", "126"});
  ExpectMentions(v.Infer(OpKind::kPadChannels, {x}, PadChannelsAttributes{.stride = 2, .channels = 3}), {"3 channels"});
  ExpectMentions(v.Infer(OpKind::kFlatten, {v.Add({2, 3})}, NoAttributes{}), {"[2, 3]"});
}

TEST(LossShapes, SumsAreScalarsInDoublePrecision) {
  Operands v;
  const ValueId logits = v.Add({4, 10}), label = v.Add({4}, DType::kI32), mask = v.Add({4}), step = v.StepBlock();
  EXPECT_EQ(v.Infer(OpKind::kArgMax, {logits}, NoAttributes{}), "i32 [4]");
  EXPECT_EQ(v.Infer(OpKind::kSoftmaxCrossEntropy, {logits, label}, LossAttributes{}), "f64 [], f32 [4], i64 []");
  EXPECT_EQ(v.Infer(OpKind::kSoftmaxCrossEntropyGrad, {logits, label, mask, step}, LossAttributes{}), "f32 [4, 10]");
  EXPECT_EQ(v.Infer(OpKind::kMeanSquaredError, {logits, logits, mask}, LossAttributes{}), "f64 []");
  EXPECT_EQ(v.Infer(OpKind::kMeanSquaredErrorGrad, {logits, logits, mask, step}, LossAttributes{}), "f32 [4, 10]");
}

TEST(LossShapes, LogitsMayHavePlaces) {
  Operands v;
  const ValueId logits = v.Add({4, 6, 10}), label = v.Add({4, 6}, DType::kI32), lse = v.Add({4, 6});
  EXPECT_EQ(v.Infer(OpKind::kSoftmaxCrossEntropy, {logits, label}, LossAttributes{}), "f64 [], f32 [4, 6], i64 []");
  EXPECT_EQ(v.Infer(OpKind::kSoftmaxCrossEntropyGrad, {logits, label, lse, v.StepBlock()}, LossAttributes{}),
            "f32 [4, 6, 10]");
}

TEST(LossShapes, RejectLabelsThatDoNotFit) {
  Operands v;
  const ValueId logits = v.Add({4, 10}), mask = v.Add({4});
  ExpectMentions(v.Infer(OpKind::kSoftmaxCrossEntropy, {logits, v.Add({5}, DType::kI32)}, LossAttributes{}),
                 {"label", "[5]", "[4]"});
  ExpectMentions(v.Infer(OpKind::kSoftmaxCrossEntropy, {logits, mask}, LossAttributes{}), {"label", "f32", "i32"});
  ExpectMentions(v.Infer(OpKind::kMeanSquaredError, {logits, v.Add({4, 9}), mask}, LossAttributes{}),
                 {"target", "[4, 9]", "[4, 10]"});
  ExpectMentions(
      v.Infer(OpKind::kSoftmaxCrossEntropy, {logits, v.Add({4}, DType::kI32)}, LossAttributes{.label_smoothing = 1}),
      {"label smoothing 1"});
}

TEST(Flops, CountMultiplyAndAddAsTwo) {
  Operands v;
  v.Infer(OpKind::kLinear, {v.Add({4, 3}), v.Add({5, 3}), kNoValue}, LinearAttributes{});
  EXPECT_EQ(Row(OpKind::kLinear).flops(v.graph(), v.graph().ops.back()), 2 * 4 * 3 * 5);
  v.Infer(OpKind::kLinearInputGrad, {v.Add({4, 5}), v.Add({5, 3})}, LinearAttributes{});
  EXPECT_EQ(Row(OpKind::kLinearInputGrad).flops(v.graph(), v.graph().ops.back()), 2 * 4 * 3 * 5);
  v.Infer(OpKind::kLinearWeightGrad, {v.Add({4, 5}), v.Add({4, 3})}, LinearAttributes{});
  EXPECT_EQ(Row(OpKind::kLinearWeightGrad).flops(v.graph(), v.graph().ops.back()), 2 * 4 * 3 * 5);

  const double products = 2.0 * (2 * 4 * 2 * 4) * (3 * 3 * 5);
  const Conv2dAttributes conv{.stride = 2, .groups = 2};
  v.Infer(OpKind::kConv2d, {v.Add({2, 9, 7, 6}), v.Add({4, 3, 3, 5}), kNoValue}, conv);
  EXPECT_EQ(Row(OpKind::kConv2d).flops(v.graph(), v.graph().ops.back()), products);
  v.Infer(OpKind::kConv2dInputGrad, {v.Add({2, 4, 2, 4}), v.Add({4, 3, 3, 5})},
          Conv2dAttributes{.stride = 2, .groups = 2, .result = {2, 9, 7, 6}});
  EXPECT_EQ(Row(OpKind::kConv2dInputGrad).flops(v.graph(), v.graph().ops.back()), products);
  v.Infer(OpKind::kConv2dWeightGrad, {v.Add({2, 4, 2, 4}), v.Add({2, 9, 7, 6})},
          Conv2dAttributes{.stride = 2, .groups = 2, .result = {4, 3, 3, 5}});
  EXPECT_EQ(Row(OpKind::kConv2dWeightGrad).flops(v.graph(), v.graph().ops.back()), products);
}

}  // namespace
}  // namespace lockstep::graph

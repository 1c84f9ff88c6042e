#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/trainer/kernels/differences.h"
#include "tests/trainer/passes/graph_text.h"
#include "tests/trainer/passes/random_graph.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::BinaryFunction;
using graph::Builder;
using graph::Mode;
using graph::UnaryFunction;
using graph::ValueId;

constexpr auto kMultiply = BinaryFunction::kMultiply, kAdd = BinaryFunction::kAdd, kDivide = BinaryFunction::kDivide,
               kPower = BinaryFunction::kPower;
constexpr float kRootOfHalf = 0.70710678f, kRootOfTwo = 1.41421356f, kRootOfTwoOverPi = 0.79788456f;

using Spelling = std::function<ValueId(Builder&, ValueId)>;

/// Of a model whose activation is spelt that way.
graph::Graph Model(const Spelling& spelling) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 5, true, {});
  b.Output("y", spelling(b, x));
  return b.Finish();
}

/// The activation is the only op behind the layer, and gives what the spelling gave, save for its constants' digits.
void ExpectRecognised(const Spelling& spelling, Activation activation, double tolerance = 1e-6) {
  const graph::Graph spelt = Model(spelling), recognised = RecogniseActivations(spelt);
  ASSERT_EQ(recognised.ops.size(), 2u) << ::testing::PrintToString(OpTexts(recognised));
  EXPECT_EQ(recognised.ops[1].as<graph::ActivationAttributes>().activation, activation);
  EXPECT_EQ(ValueName(recognised, recognised.ops[1].inputs[0]), "fc");
  const Values values = RandomValues(spelt);
  const auto y = [&](const graph::Graph& graph) {
    return reference::RunGraph(graph, values, kStepBlock)[static_cast<size_t>(graph.outputs.at("y"))].data;
  };
  const std::vector<double> expected = y(spelt), actual = y(recognised);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance);
}

void ExpectLeftAlone(const Spelling& spelling) {
  const graph::Graph spelt = Model(spelling);
  EXPECT_EQ(OpTexts(RecogniseActivations(spelt)), OpTexts(spelt));
}

TEST(RecogniseActivations, SiluInBothOrders) {
  ExpectRecognised([](Builder& b, ValueId x) { return b.Binary(kMultiply, x, b.Activate(x, Activation::kSigmoid)); },
                   Activation::kSilu);
  ExpectRecognised([](Builder& b, ValueId x) { return b.Binary(kMultiply, b.Activate(x, Activation::kSigmoid), x); },
                   Activation::kSilu);
}

ValueId OnePlusErf(Builder& b, ValueId x) {
  return b.Binary(kAdd, b.Unary(b.Binary(kDivide, x, kRootOfTwo), {UnaryFunction::kErf}), 1.0f);
}

TEST(RecogniseActivations, GeluInAnyOrderOfItsFactors) {
  const std::vector<Spelling> spellings = {
      [](Builder& b, ValueId x) { return b.Binary(kMultiply, b.Binary(kMultiply, x, OnePlusErf(b, x)), 0.5f); },
      [](Builder& b, ValueId x) { return b.Binary(kMultiply, b.Binary(kMultiply, x, 0.5f), OnePlusErf(b, x)); },
      [](Builder& b, ValueId x) { return b.Binary(kMultiply, 0.5f, b.Binary(kMultiply, OnePlusErf(b, x), x)); },
      [](Builder& b, ValueId x) { return b.Binary(kMultiply, x, b.Binary(kMultiply, OnePlusErf(b, x), 0.5f)); },
      [](Builder& b, ValueId x) { return b.Binary(kDivide, b.Binary(kMultiply, x, OnePlusErf(b, x)), 2.0f); },
      [](Builder& b, ValueId x) {
        const ValueId erf = b.Unary(b.Binary(kMultiply, x, kRootOfHalf), {UnaryFunction::kErf});
        return b.Binary(kMultiply, b.Binary(kMultiply, x, 0.5f), b.Binary(kAdd, 1.0f, erf));
      }};
  for (const Spelling& spelling : spellings) ExpectRecognised(spelling, Activation::kGelu);
  ExpectRecognised(
      [](Builder& b, ValueId x) {
        const ValueId erf = b.Unary(b.Binary(kMultiply, x, 0.7071f), {UnaryFunction::kErf});
        return b.Binary(kMultiply, b.Binary(kMultiply, x, 0.5f), b.Binary(kAdd, erf, 1.0f));
      },
      Activation::kGelu, 1e-4);
}

TEST(RecogniseActivations, GeluOfAProduct) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32),
                scaled = b.Binary(kMultiply, x, b.Input("by", {6}, DType::kF32));
  b.Output("y", b.Binary(kMultiply, b.Binary(kMultiply, scaled, 0.5f), OnePlusErf(b, scaled)));
  const graph::Graph recognised = RecogniseActivations(b.Finish());
  ASSERT_EQ(recognised.ops.size(), 2u);
  EXPECT_EQ(recognised.ops[1].inputs[0], scaled);
}

TEST(RecogniseActivations, GptsGelu) {
  const auto close = [](Builder& b, ValueId x, ValueId inner) {
    const ValueId tanh = b.Activate(b.Binary(kMultiply, inner, kRootOfTwoOverPi), Activation::kTanh);
    return b.Binary(kMultiply, b.Binary(kMultiply, x, 0.5f), b.Binary(kAdd, tanh, 1.0f));
  };
  const std::vector<Spelling> spellings = {
      [&](Builder& b, ValueId x) {
        return close(b, x, b.Add(x, b.Binary(kMultiply, b.Binary(kPower, x, 3.0f), 0.044715f)));
      },
      [&](Builder& b, ValueId x) {
        const ValueId cube = b.Binary(kMultiply, b.Binary(kMultiply, x, x), x);
        return close(b, x, b.Binary(kAdd, b.Binary(kMultiply, 0.044715f, cube), x));
      },
      [&](Builder& b, ValueId x) {
        const ValueId square = b.Binary(kMultiply, b.Binary(kMultiply, x, 0.044715f), x);
        return close(b, x, b.Binary(kMultiply, x, b.Binary(kAdd, square, 1.0f)));
      }};
  for (const Spelling& spelling : spellings) ExpectRecognised(spelling, Activation::kGeluTanh);
}

TEST(RecogniseActivations, RmsNormWithAWeight) {
  using Close = std::function<ValueId(Builder&, ValueId x, ValueId root, ValueId weight)>;
  const std::vector<Close> spellings = {[](Builder& b, ValueId x, ValueId root, ValueId weight) {
                                          const ValueId y =
                                              b.Binary(kMultiply, x, b.Unary(root, {UnaryFunction::kReciprocal}));
                                          return b.Binary(kMultiply, weight, y);
                                        },
                                        [](Builder& b, ValueId x, ValueId root, ValueId weight) {
                                          return b.Binary(kMultiply, b.Binary(kDivide, x, root), weight);
                                        }};
  for (const Close& close : spellings) {
    Builder b(Mode::kTrain, 4);
    const ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc", 10, true, {0, 1});
    const ValueId mean = b.Reduce(b.Binary(kPower, x, 2.0f), graph::ReduceFunction::kMean, graph::AxisBits({1}), true);
    const ValueId root = b.Unary(b.Binary(kAdd, mean, 1e-3f), {UnaryFunction::kSqrt});
    const ValueId y = close(b, x, root, b.Parameter("weight", {10}, {0, 1}, false));
    b.MeanSquaredError(b.Linear(y, "last", 3, true, {0, 1}));
    const graph::Graph spelt = b.Finish(), recognised = RecogniseActivations(spelt);
    ASSERT_EQ(recognised.ops.size(), 4u) << ::testing::PrintToString(OpTexts(recognised));
    EXPECT_EQ(recognised.ops[1].kind, graph::OpKind::kRmsNorm);
    EXPECT_EQ(recognised.ops[1].as<graph::NormAttributes>().epsilon, 1e-3f);
    ExpectGradientsOf(spelt, AddGradients(recognised, {}));
  }
}

TEST(RecogniseActivations, OtherConstantsAndOperandsAreOtherFunctions) {
  ExpectLeftAlone(
      [](Builder& b, ValueId x) { return b.Binary(kMultiply, b.Binary(kMultiply, x, OnePlusErf(b, x)), 0.51f); });
  ExpectLeftAlone([](Builder& b, ValueId x) {
    return b.Binary(kMultiply, b.Binary(kMultiply, x, 0.5f), OnePlusErf(b, b.Binary(kAdd, x, 1.0f)));
  });
  ExpectLeftAlone([](Builder& b, ValueId x) {
    return b.Binary(kMultiply, x, b.Activate(b.Binary(kMultiply, x, 1.702f), Activation::kSigmoid));
  });
  ExpectLeftAlone([](Builder& b, ValueId x) { return b.Binary(kDivide, x, b.Activate(x, Activation::kSigmoid)); });
}

TEST(RecogniseActivations, WhatOthersReadOfItStays) {
  Builder b(Mode::kInfer, 4);
  const ValueId x = b.Input("features", {6}, DType::kF32), gate = b.Activate(x, Activation::kSigmoid);
  b.Output("gate", gate);
  b.Output("y", b.Binary(kMultiply, x, gate));
  EXPECT_EQ(RecogniseActivations(b.Finish()).ops.size(), 2u);
}

TEST(RecogniseActivations, LeavesGraphsOfFamiliesOpsAlone) {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    const graph::Graph graph = RandomGraph(seed);
    EXPECT_EQ(OpTexts(RecogniseActivations(graph)), OpTexts(graph));
  }
}

}  // namespace
}  // namespace lockstep::passes

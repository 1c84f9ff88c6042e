// Gradients of elementwise tensor ops against central differences: every function, by every operand, however it is
// broadcast.
#include <gtest/gtest.h>

#include <functional>

#include "tests/trainer/kernels/differences.h"
#include "trainer/graph/builder.h"
#include "trainer/passes/passes.h"

namespace lockstep {
namespace {

using graph::BinaryFunction;
using graph::Builder;
using graph::Graph;
using graph::UnaryFunction;
using graph::ValueId;

/// Of a model that squares the error of `layers`, whose operands are made of an input [4, 10] by a layer: x of shape
/// [4, 10], whose numbers are about 1.
void ExpectGradientsThrough(const std::function<ValueId(Builder&, ValueId)>& layers) {
  Builder b(graph::Mode::kTrain, 4);
  const ValueId features = b.Input("features", {6}, DType::kF32);
  const ValueId x = b.Linear(features, "first", 10, true, {.deviation = 0.2f}, {.deviation = 1});
  const ValueId y = layers(b, x);
  b.MeanSquaredError(b.Linear(b.Reshape(y, {4, b.shape(y).size() / 4}), "last", 3, true, {0, 1}));
  const Graph forward = b.Finish();
  ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
}

/// x moved into where the function is smooth.
ValueId InDomain(Builder& b, UnaryFunction function, ValueId x) {
  switch (function) {
    case UnaryFunction::kAcos:
    case UnaryFunction::kAsin:
    case UnaryFunction::kAtanh:
      return b.Binary(BinaryFunction::kMultiply, b.Activate(x, graph::Activation::kTanh), 0.9f);
    case UnaryFunction::kAcosh:
    case UnaryFunction::kLog:
    case UnaryFunction::kReciprocal:
    case UnaryFunction::kSqrt:
      return b.Binary(BinaryFunction::kAdd, b.Unary(x, {UnaryFunction::kSoftplus}), 1.1f);
    case UnaryFunction::kTan:
      return b.Activate(x, graph::Activation::kTanh);
    default:
      return x;
  }
}

TEST(TensorGradientTest, OfEveryFunctionOfOneOperandFollowsFromDifferences) {
  for (int i = 0; i < static_cast<int>(UnaryFunction::kCount); ++i) {
    const auto function = static_cast<UnaryFunction>(i);
    if (!HasGradient(function)) continue;
    SCOPED_TRACE(Name(function));
    ExpectGradientsThrough([&](Builder& b, ValueId x) {
      return b.Unary(InDomain(b, function, x), {function, 0.3f, 0.9f});
    });
  }
}

TEST(TensorGradientTest, OfEveryFunctionOfTwoFollowsFromDifferences) {
  for (int i = 0; i < static_cast<int>(BinaryFunction::kCount); ++i) {
    const auto function = static_cast<BinaryFunction>(i);
    if (!HasGradient(function)) continue;
    SCOPED_TRACE(Name(function));
    const auto positive = [](Builder& b, ValueId x) {
      return b.Binary(BinaryFunction::kAdd, b.Activate(x, graph::Activation::kSigmoid), 0.5f);
    };
    ExpectGradientsThrough([&](Builder& b, ValueId x) {
      const ValueId first = positive(b, x);
      return b.Binary(function, positive(b, b.Linear(first, "a", 10, false, {0, 0.1f})),
                      positive(b, b.Linear(x, "b", 10, true, {})));
    });
    ExpectGradientsThrough([&](Builder& b, ValueId x) { return b.Binary(function, positive(b, x), 0.7f); });
    ExpectGradientsThrough([&](Builder& b, ValueId x) { return b.Binary(function, 0.7f, positive(b, x)); });
  }
}

TEST(TensorGradientTest, OfBroadcastOperandsIsSummed) {
  for (const BinaryFunction function : {BinaryFunction::kAdd, BinaryFunction::kSubtract, BinaryFunction::kMultiply,
                                        BinaryFunction::kDivide, BinaryFunction::kMaximum}) {
    for (const Shape& shape : {Shape{5}, Shape{1}, Shape{2, 1}, Shape{4, 1, 5}, Shape{1, 2, 1}, Shape{3, 1, 1, 1}}) {
      SCOPED_TRACE(std::string(Name(function)) + " " + shape.ToString());
      ExpectGradientsThrough([&](Builder& b, ValueId x) {
        const ValueId w = b.Unary(b.Parameter("w", shape, {0, 1}, true), {UnaryFunction::kExp});
        return b.Binary(function, b.Reshape(x, {4, 2, 5}), w);
      });
      ExpectGradientsThrough([&](Builder& b, ValueId x) {
        return b.Binary(function, b.Parameter("w", shape, {0, 1}, true),
                        b.Unary(b.Reshape(x, {4, 2, 5}), {UnaryFunction::kExp}));
      });
    }
  }
}

TEST(TensorGradientTest, OfAChoiceGoesToWhatWasChosen) {
  ExpectGradientsThrough([](Builder& b, ValueId x) {
    const ValueId a = b.Linear(x, "a", 10, true, {0, 1}), w = b.Parameter("w", {1, 10}, {0, 1}, true);
    return b.Where(b.Binary(BinaryFunction::kGreater, x, 0.9f), a, w);
  });
  ExpectGradientsThrough([](Builder& b, ValueId x) {
    return b.Where(b.Binary(BinaryFunction::kLess, x, 0.9f), x, graph::kNoValue, {0, -1});
  });
  // What was not chosen is not-a-number here: log of negative numbers.
  ExpectGradientsThrough([](Builder& b, ValueId x) {
    const ValueId log = b.Unary(b.Unary(x, {UnaryFunction::kAbs}), {UnaryFunction::kLog});
    return b.Where(b.Binary(BinaryFunction::kGreater, x, 0.0f), graph::kNoValue, log, {-3, 0});
  });
}

TEST(TensorGradientTest, NoneFlowsThroughTruthsAndIntegers) {
  ExpectGradientsThrough([](Builder& b, ValueId x) {
    const ValueId truth = b.Binary(BinaryFunction::kAnd, b.Binary(BinaryFunction::kGreater, x, 0.5f),
                                   b.Unary(x, {UnaryFunction::kFloor}));
    return b.Add(b.Binary(BinaryFunction::kMultiply, x, truth), b.Cast(b.Cast(x, DType::kI32), DType::kF32));
  });
}

TEST(TensorGradientTest, GoesThroughCastsAmongFloats) {
  ExpectGradientsThrough([](Builder& b, ValueId x) { return b.Cast(x, DType::kF32); });
}

}  // namespace
}  // namespace lockstep

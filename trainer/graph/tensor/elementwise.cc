// Functions of elements with broadcasting: one operand, two, a choice of two, and types.
#include <algorithm>

#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// bf16 where an operand that is present is.
DType ResultType(const Graph& graph, const Op& op, std::initializer_list<int> operands) {
  const bool lowered = std::ranges::any_of(
      operands, [&](int i) { return HasInput(op, i) && InputOf(graph, op, i).dtype == DType::kBF16; });
  return lowered ? DType::kBF16 : DType::kF32;
}

/// Of those operands that are present.
Shape BroadcastOf(const Graph& graph, const Op& op, std::initializer_list<int> operands) {
  const std::vector<Operand> names = ParseOperands(Row(op.kind).inputs);
  Shape shape;
  for (const int i : operands) {
    if (!HasInput(op, i)) continue;
    RequireFloat(op, InputOf(graph, op, i), names[static_cast<size_t>(i)].name);
    shape = RequireBroadcast(op, shape, InputOf(graph, op, i).shape);
  }
  return shape;
}

std::vector<OutputSpec> InferUnary(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  CHECK(AttributesOf<UnaryAttributes>(op).function < UnaryFunction::kCount);
  RequireFloat(op, x, "x");
  return {{x.shape, x.dtype}};
}

std::vector<OutputSpec> InferUnaryGrad(const Graph& graph, const Op& op) {
  const Value &dy = InputOf(graph, op, 0), &x = InputOf(graph, op, 1);
  const UnaryFunction function = AttributesOf<UnaryAttributes>(op).function;
  CHECK(function < UnaryFunction::kCount && HasGradient(function), "{}: {} has no gradient", op.name, Name(function));
  RequireFloat(op, dy, "dy");
  RequireFloat(op, x, "x");
  RequireShape(op, x, "x", dy.shape);
  return {{dy.shape, dy.dtype}};
}

void UnaryGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const ValueId dy = context.OutputGradient(0);
  const auto& attributes = AttributesOf<UnaryAttributes>(op);
  if (!HasGradient(attributes.function)) return;
  const ValueId dx = attributes.function == UnaryFunction::kNegative
                         ? context.Emit(OpKind::kUnary, {dy}, attributes, "/grad")[0]
                         : context.Emit(OpKind::kUnaryGrad, {dy, op.inputs[0]}, attributes, "/grad")[0];
  context.Accumulate(0, dx);
}

std::vector<OutputSpec> InferBinary(const Graph& graph, const Op& op) {
  CHECK(AttributesOf<BinaryAttributes>(op).function < BinaryFunction::kCount);
  CHECK(HasInput(op, 0) || HasInput(op, 1), "{}: both operands are absent", op.name);
  return {{BroadcastOf(graph, op, {0, 1}), ResultType(graph, op, {0, 1})}};
}

std::vector<OutputSpec> InferBinaryGrad(const Graph& graph, const Op& op) {
  const auto& attributes = AttributesOf<BinaryGradAttributes>(op);
  CHECK(attributes.function < BinaryFunction::kCount && HasGradient(attributes.function), "{}: {} has no gradient",
        op.name, Name(attributes.function));
  CHECK((attributes.operand == 0 || attributes.operand == 1) && HasInput(op, 1 + attributes.operand),
        "{}: no derivative by operand {}", op.name, attributes.operand);
  const Value& dy = InputOf(graph, op, 0);
  RequireFloat(op, dy, "dy");
  const Shape shape = BroadcastOf(graph, op, {1, 2});
  RequireShape(op, dy, "dy", shape);
  return {{shape, InputOf(graph, op, 1 + attributes.operand).dtype}};
}

/// What `input` gets of a gradient in the result's shape: summed where it was broadcast, and in its type.
void AccumulateBroadcast(GradientContext& context, int input, ValueId gradient, const std::string& suffix) {
  const Value& operand = InputOf(context.graph(), context.op(), input);
  const DType type = operand.dtype;
  const Shape shape = operand.shape;
  // Sums are made in the operand's type: that of a parameter's gradient is f32.
  if (context.graph().value(gradient).dtype != type)
    gradient = context.Emit(OpKind::kCast, {gradient}, CastAttributes{type}, suffix + "/cast")[0];
  context.Accumulate(input, SumTo(context, gradient, shape, suffix));
}

/// dy times the derivative by operand `input`. The product with the other operand is all that there is to a few; where
/// types differ, it would be rounded before it is summed.
ValueId BinaryDerivative(GradientContext& context, const Op& op, int input, const std::string& suffix) {
  const auto& attributes = AttributesOf<BinaryAttributes>(op);
  const ValueId dy = context.OutputGradient(0), other = op.inputs[static_cast<size_t>(1 - input)];
  const DType type = InputOf(context.graph(), op, input).dtype;
  const bool product = attributes.function == BinaryFunction::kMultiply ||
                       (attributes.function == BinaryFunction::kDivide && input == 0);
  if (attributes.function == BinaryFunction::kAdd || attributes.function == BinaryFunction::kSubtract) return dy;
  if (product && context.graph().value(dy).dtype == type)
    return context.Emit(OpKind::kBinary, {dy, other}, attributes, suffix)[0];
  return context.Emit(OpKind::kBinaryGrad, {dy, op.inputs[0], op.inputs[1]},
                      BinaryGradAttributes{attributes.function, attributes.scalar, input}, suffix)[0];
}

void BinaryGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const BinaryFunction function = AttributesOf<BinaryAttributes>(op).function;
  if (!HasGradient(function)) return;
  // The second operand first: where one is a parameter, it is that, and its gradient is sent earlier.
  for (const int input : {1, 0}) {
    if (!context.Wanted(input)) continue;
    const std::string suffix = input == 0 ? "/grad_a" : "/grad_b";
    const bool negative = function == BinaryFunction::kSubtract && input == 1;
    ValueId gradient = BinaryDerivative(context, op, input, suffix);
    if (negative)
      gradient = context.Emit(OpKind::kUnary, {gradient}, UnaryAttributes{UnaryFunction::kNegative}, suffix)[0];
    AccumulateBroadcast(context, input, gradient, suffix);
  }
}

std::vector<OutputSpec> InferWhere(const Graph& graph, const Op& op) {
  AttributesOf<WhereAttributes>(op);
  return {{BroadcastOf(graph, op, {0, 1, 2}), ResultType(graph, op, {1, 2})}};
}

/// Zeros are chosen in the place of the other operand, whatever that is.
void WhereGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const ValueId dy = context.OutputGradient(0);
  for (const int input : {1, 2}) {
    if (!context.Wanted(input)) continue;
    const std::string suffix = input == 1 ? "/grad_a" : "/grad_b";
    const ValueId a = input == 1 ? dy : kNoValue, b = input == 2 ? dy : kNoValue;
    const ValueId gradient = context.Emit(OpKind::kWhere, {op.inputs[0], a, b}, WhereAttributes{}, suffix)[0];
    AccumulateBroadcast(context, input, gradient, suffix);
  }
}

std::vector<OutputSpec> InferCast(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const DType to = AttributesOf<CastAttributes>(op).to;
  if (x.dtype != DType::kI32) RequireFloat(op, x, "x");
  if (to != DType::kI32 && to != DType::kF32 && to != DType::kBF16)
    Reject(op, fmt::format("a cast to {} is not possible", Name(to)), "casts are to f32, bf16 and i32");
  return {{x.shape, to}};
}

void CastGradient(GradientContext& context) {
  const DType from = InputOf(context.graph(), context.op(), 0).dtype;
  if (from == DType::kI32 || AttributesOf<CastAttributes>(context.op()).to == DType::kI32) return;
  context.Accumulate(0, context.Emit(OpKind::kCast, {context.OutputGradient(0)}, CastAttributes{from}, "/grad")[0]);
}

constexpr OpRow kRows[] = {
    {OpKind::kUnary, "unary", "x", "y", "y = f(x)", InferUnary, UnaryGradient, 0, FlopsPerElement},
    {OpKind::kBinary, "binary", "a?, b?", "y", "y = f(a, b)", InferBinary, BinaryGradient, 0, FlopsPerElement},
    {OpKind::kWhere, "where", "condition, a?, b?", "y", "y = a where condition, else b", InferWhere, WhereGradient, 1,
     FlopsPerElement},
    {OpKind::kCast, "cast", "x", "y", "y = x in another type", InferCast, CastGradient, 0, NoFlops},
    {OpKind::kUnaryGrad, "unary_grad", "dy, x", "dx", "dx = dy f'(x)", InferUnaryGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kBinaryGrad, "binary_grad", "dy, a?, b?", "d", "d = dy df(a, b) by one of both", InferBinaryGrad, nullptr,
     0, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> TensorElementwiseRows() { return kRows; }

}  // namespace lockstep::graph

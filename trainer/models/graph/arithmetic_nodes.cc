// Nodes that compute value by value.
#include <limits>
#include <optional>

#include "trainer/models/blocks.h"
#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::BinaryFunction;
using graph::kNoValue;
using graph::OpKind;
using graph::UnaryFunction;
using graph::ValueId;

namespace {

/// A kind of function, and the numbers of PyTorch's.
struct FunctionRow {
  UnaryFunction function;
  double alpha = 0, beta = 0;
};

FunctionRow RowOf(Function::Kind kind) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (kind) {
    case Function::LOG:
      return {UnaryFunction::kLog};
    case Function::SQRT:
      return {UnaryFunction::kSqrt};
    case Function::RECIPROCAL:
      return {UnaryFunction::kReciprocal};
    case Function::ABS:
      return {UnaryFunction::kAbs};
    case Function::NEGATIVE:
      return {UnaryFunction::kNegative};
    case Function::SIGN:
      return {UnaryFunction::kSign};
    case Function::FLOOR:
      return {UnaryFunction::kFloor};
    case Function::CEIL:
      return {UnaryFunction::kCeil};
    case Function::ROUND:
      return {UnaryFunction::kRound};
    case Function::SIN:
      return {UnaryFunction::kSin};
    case Function::COS:
      return {UnaryFunction::kCos};
    case Function::TAN:
      return {UnaryFunction::kTan};
    case Function::ASIN:
      return {UnaryFunction::kAsin};
    case Function::ACOS:
      return {UnaryFunction::kAcos};
    case Function::ATAN:
      return {UnaryFunction::kAtan};
    case Function::SINH:
      return {UnaryFunction::kSinh};
    case Function::COSH:
      return {UnaryFunction::kCosh};
    case Function::ASINH:
      return {UnaryFunction::kAsinh};
    case Function::ACOSH:
      return {UnaryFunction::kAcosh};
    case Function::ATANH:
      return {UnaryFunction::kAtanh};
    case Function::ERF:
      return {UnaryFunction::kErf};
    case Function::CLIP:
      return {UnaryFunction::kClip, -kInfinity, kInfinity};
    case Function::LEAKY_RELU:
      return {UnaryFunction::kLeakyRelu, 0.01};
    case Function::ELU:
      return {UnaryFunction::kElu, 1};
    case Function::SELU:
      return {UnaryFunction::kSelu, 1.6732632423543772, 1.0507009873554805};
    case Function::CELU:
      return {UnaryFunction::kCelu, 1};
    case Function::SOFTPLUS:
      return {UnaryFunction::kSoftplus};
    case Function::SOFTSIGN:
      return {UnaryFunction::kSoftsign};
    case Function::MISH:
      return {UnaryFunction::kMish};
    case Function::HARD_SWISH:
      return {UnaryFunction::kHardSwish};
    case Function::HARD_SIGMOID:
      return {UnaryFunction::kHardSigmoid, 1.0 / 6, 0.5};
    case Function::THRESHOLDED_RELU:
      return {UnaryFunction::kThresholdedRelu, 1};
    case Function::IS_NAN:
      return {UnaryFunction::kIsNan};
    case Function::IS_INF:
      return {UnaryFunction::kIsInf};
    case Function::NOT:
      return {UnaryFunction::kNot};
    default:
      return {UnaryFunction::kExp};
  }
}

std::vector<ValueId> BuildFunction(const NodeBuild& node, const Function& config) {
  node.RequireInputs(1, 1);
  node.RequireFloats(0);
  const FunctionRow row = RowOf(config.kind());
  const graph::UnaryAttributes attributes{.function = row.function,
                                          .alpha = static_cast<float>(config.has_alpha() ? config.alpha() : row.alpha),
                                          .beta = static_cast<float>(config.has_beta() ? config.beta() : row.beta)};
  return {node.Emit(OpKind::kUnary, {node.input(0)}, attributes)[0]};
}

/// The arithmetic that a node asks for, and its number.
struct BinaryNode {
  BinaryFunction function;
  const Operand& operand;
};

std::optional<BinaryNode> BinaryOf(const Node& config) {
  switch (config.op_case()) {
    case Node::kAdd:
      return BinaryNode{BinaryFunction::kAdd, config.add()};
    case Node::kSubtract:
      return BinaryNode{BinaryFunction::kSubtract, config.subtract()};
    case Node::kMultiply:
      return BinaryNode{BinaryFunction::kMultiply, config.multiply()};
    case Node::kDivide:
      return BinaryNode{BinaryFunction::kDivide, config.divide()};
    case Node::kPower:
      return BinaryNode{BinaryFunction::kPower, config.power()};
    case Node::kMinimum:
      return BinaryNode{BinaryFunction::kMinimum, config.minimum()};
    case Node::kMaximum:
      return BinaryNode{BinaryFunction::kMaximum, config.maximum()};
    case Node::kRemainder:
      return BinaryNode{BinaryFunction::kRemainder, config.remainder()};
    case Node::kModulo:
      return BinaryNode{BinaryFunction::kModulo, config.modulo()};
    case Node::kPrelu:
      return BinaryNode{BinaryFunction::kPRelu, config.prelu()};
    case Node::kEqual:
      return BinaryNode{BinaryFunction::kEqual, config.equal()};
    case Node::kLess:
      return BinaryNode{BinaryFunction::kLess, config.less()};
    case Node::kLessOrEqual:
      return BinaryNode{BinaryFunction::kLessOrEqual, config.less_or_equal()};
    case Node::kGreater:
      return BinaryNode{BinaryFunction::kGreater, config.greater()};
    case Node::kGreaterOrEqual:
      return BinaryNode{BinaryFunction::kGreaterOrEqual, config.greater_or_equal()};
    case Node::kLogicalAnd:
      return BinaryNode{BinaryFunction::kAnd, config.logical_and()};
    case Node::kLogicalOr:
      return BinaryNode{BinaryFunction::kOr, config.logical_or()};
    case Node::kLogicalXor:
      return BinaryNode{BinaryFunction::kXor, config.logical_xor()};
    default:
      return std::nullopt;
  }
}

std::vector<ValueId> BuildBinary(const NodeBuild& node, const BinaryNode& binary) {
  const bool number = binary.operand.has_value();
  node.RequireInputs(number ? 1 : 2, number ? 1 : 2);
  for (size_t i = 0; i < node.inputs(); ++i) node.RequireFloats(i);
  graph::BinaryAttributes attributes{.function = binary.function};
  if (number) {
    attributes.scalar = static_cast<float>(binary.operand.value());
    const bool first = binary.operand.first();
    return {node.Emit(OpKind::kBinary, {first ? kNoValue : node.input(0), first ? node.input(0) : kNoValue},
                      attributes)[0]};
  }
  if (binary.function == BinaryFunction::kAdd && node.input_shape(0) == node.input_shape(1))
    return {node.Emit(OpKind::kAdd, {node.input(0), node.input(1)},
                      graph::ActivationAttributes{graph::Activation::kNone})[0]};
  return {node.Emit(OpKind::kBinary, {node.input(0), node.input(1)}, attributes)[0]};
}

/// The condition, and then what is chosen from, of which numbers may stand in the recipe.
std::vector<ValueId> BuildWhere(const NodeBuild& node, const Where& config) {
  const size_t values = (config.has_a() ? 0u : 1u) + (config.has_b() ? 0u : 1u);
  node.RequireInputs(1 + values, 1 + values);
  for (size_t i = 0; i < node.inputs(); ++i) node.RequireFloats(i);
  const ValueId a = config.has_a() ? kNoValue : node.input(1);
  const ValueId b = config.has_b() ? kNoValue : node.input(node.inputs() - 1);
  const graph::WhereAttributes attributes{.a = static_cast<float>(config.a()), .b = static_cast<float>(config.b())};
  return {node.Emit(OpKind::kWhere, {node.input(0), a, b}, attributes)[0]};
}

std::vector<ValueId> BuildCast(const NodeBuild& node, const Cast& config) {
  node.RequireInputs(1, 1);
  const DType to = config.integers() ? DType::kI32 : DType::kF32;
  if (node.dtype(node.input(0)) == to) return {node.input(0)};
  return {node.Emit(OpKind::kCast, {node.input(0)}, graph::CastAttributes{to})[0]};
}

}  // namespace

std::vector<ValueId> BuildArithmeticNode(const NodeBuild& node) {
  const Node& config = node.node();
  if (const std::optional<BinaryNode> binary = BinaryOf(config)) return BuildBinary(node, *binary);
  switch (config.op_case()) {
    case Node::kActivation:
      node.RequireInputs(1, 1);
      node.RequireFloats(0);
      if (config.activation() == NONE) return {node.input(0)};
      return {node.Emit(OpKind::kActivation, {node.input(0)},
                        graph::ActivationAttributes{ToGraph(config.activation())})[0]};
    case Node::kFunction:
      return BuildFunction(node, config.function());
    case Node::kWhere:
      return BuildWhere(node, config.where());
    case Node::kCast:
      return BuildCast(node, config.cast());
    default:
      return {};
  }
}

}  // namespace lockstep::models

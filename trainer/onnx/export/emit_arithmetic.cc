// Functions, arithmetic and comparisons of tensors that broadcast.
#include <fmt/format.h>

#include <cmath>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::BinaryFunction;
using graph::OpKind;
using graph::UnaryFunction;

/// A function that is a node of one input: its type, and what alpha and beta are called there.
struct UnaryRow {
  UnaryFunction function;
  const char* type;
  const char* alpha = nullptr;
  const char* beta = nullptr;
};
constexpr UnaryRow kUnaries[] = {
    {UnaryFunction::kAbs, "Abs"},
    {UnaryFunction::kAcos, "Acos"},
    {UnaryFunction::kAcosh, "Acosh"},
    {UnaryFunction::kAsin, "Asin"},
    {UnaryFunction::kAsinh, "Asinh"},
    {UnaryFunction::kAtan, "Atan"},
    {UnaryFunction::kAtanh, "Atanh"},
    {UnaryFunction::kCeil, "Ceil"},
    {UnaryFunction::kCos, "Cos"},
    {UnaryFunction::kCosh, "Cosh"},
    {UnaryFunction::kElu, "Elu", "alpha"},
    {UnaryFunction::kErf, "Erf"},
    {UnaryFunction::kExp, "Exp"},
    {UnaryFunction::kFloor, "Floor"},
    {UnaryFunction::kHardSigmoid, "HardSigmoid", "alpha", "beta"},
    {UnaryFunction::kHardSwish, "HardSwish"},
    {UnaryFunction::kLeakyRelu, "LeakyRelu", "alpha"},
    {UnaryFunction::kLog, "Log"},
    {UnaryFunction::kNegative, "Neg"},
    {UnaryFunction::kReciprocal, "Reciprocal"},
    {UnaryFunction::kRound, "Round"},
    {UnaryFunction::kSelu, "Selu", "alpha", "gamma"},
    {UnaryFunction::kSign, "Sign"},
    {UnaryFunction::kSin, "Sin"},
    {UnaryFunction::kSinh, "Sinh"},
    {UnaryFunction::kSoftplus, "Softplus"},
    {UnaryFunction::kSoftsign, "Softsign"},
    {UnaryFunction::kSqrt, "Sqrt"},
    {UnaryFunction::kTan, "Tan"},
    {UnaryFunction::kThresholdedRelu, "ThresholdedRelu", "alpha"},
};

/// Absent where it is infinite.
std::string Bound(Emission& e, float value) { return std::isinf(value) ? "" : e.writer().Float(value); }

std::string UnaryNode(Emission& e, const std::string& x, const graph::UnaryAttributes& attributes) {
  if (attributes.function == UnaryFunction::kClip)
    return e.Node("Clip", {x, Bound(e, attributes.alpha), Bound(e, attributes.beta)});
  // Mish is an operator from opset 18 on.
  if (attributes.function == UnaryFunction::kMish) return e.Node("Mul", {x, e.Node("Tanh", {e.Node("Softplus", {x})})});
  // Of 32 bits alone, as IsInf.
  if (attributes.function == UnaryFunction::kCelu)
    return e.Narrow(e.Node("Celu", {e.Wide(x)}, {Attribute("alpha", attributes.alpha)}));
  for (const UnaryRow& row : kUnaries) {
    if (row.function != attributes.function) continue;
    std::vector<AttributeProto> numbers;
    if (row.alpha != nullptr) numbers.push_back(Attribute(row.alpha, attributes.alpha));
    if (row.beta != nullptr) numbers.push_back(Attribute(row.beta, attributes.beta));
    return e.Node(row.type, {x}, std::move(numbers));
  }
  e.Fail(fmt::format("the function {} can't be written", graph::Name(attributes.function)));
}

void EmitUnary(Emission& e) {
  const auto& attributes = e.op().as<graph::UnaryAttributes>();
  const Order order = e.CommonOrder();
  switch (attributes.function) {
    case UnaryFunction::kNot:
      return e.TruthResult(e.Node("Not", {e.Truth(0, order)}), order);
    case UnaryFunction::kIsNan:
      return e.TruthResult(e.Node("IsNaN", {e.Input(0, order)}), order);
    case UnaryFunction::kIsInf:
      return e.TruthResult(e.Node("IsInf", {e.Wide(e.Input(0, order))}), order);
    default:
      return e.Result(UnaryNode(e, e.Input(0, order), attributes), order);
  }
}

struct BinaryRow {
  BinaryFunction function;
  const char* type;
  bool truths = false;    ///< operands are truth values
  bool is_truth = false;  ///< the result is one
};
constexpr BinaryRow kBinaries[] = {
    {BinaryFunction::kAdd, "Add"},
    {BinaryFunction::kSubtract, "Sub"},
    {BinaryFunction::kMultiply, "Mul"},
    {BinaryFunction::kDivide, "Div"},
    {BinaryFunction::kPower, "Pow"},
    {BinaryFunction::kMinimum, "Min"},
    {BinaryFunction::kMaximum, "Max"},
    {BinaryFunction::kEqual, "Equal", false, true},
    {BinaryFunction::kLess, "Less", false, true},
    {BinaryFunction::kLessOrEqual, "LessOrEqual", false, true},
    {BinaryFunction::kGreater, "Greater", false, true},
    {BinaryFunction::kGreaterOrEqual, "GreaterOrEqual", false, true},
    {BinaryFunction::kAnd, "And", true, true},
    {BinaryFunction::kOr, "Or", true, true},
    {BinaryFunction::kXor, "Xor", true, true},
};

/// An operand, or the number in its place.
std::string OperandOr(Emission& e, size_t input, float scalar, Order order, bool truth) {
  if (e.Has(input)) return e.Operand(input, order, truth);
  const std::string number = e.writer().Float(scalar);
  return truth ? e.Node("Cast", {number}, {Attribute("to", TensorProto::BOOL)}) : number;
}

/// Those that ONNX spells in several nodes.
std::string ComposedBinary(Emission& e, BinaryFunction function, const std::string& a, const std::string& b) {
  switch (function) {
    case BinaryFunction::kRemainder:
      return e.Node("Mod", {a, b}, {Attribute("fmod", 1)});
    case BinaryFunction::kModulo:
      return e.Node("Sub", {a, e.Node("Mul", {b, e.Node("Floor", {e.Node("Div", {a, b})})})});
    case BinaryFunction::kPRelu:
      if (e.Has(0) && e.InputShape(0) == e.ResultShape()) return e.Node("PRelu", {a, b});
      return e.Node("Where", {e.Node("Greater", {a, e.writer().Float(0)}), a, e.Node("Mul", {a, b})});
    default:
      e.Fail(fmt::format("the function {} can't be written", graph::Name(function)));
  }
}

void EmitBinary(Emission& e) {
  const auto& attributes = e.op().as<graph::BinaryAttributes>();
  const Order order = e.CommonOrder();
  for (const BinaryRow& row : kBinaries) {
    if (row.function != attributes.function) continue;
    const std::string a = OperandOr(e, 0, attributes.scalar, order, row.truths);
    const std::string y = e.Node(row.type, {a, OperandOr(e, 1, attributes.scalar, order, row.truths)});
    return row.is_truth ? e.TruthResult(y, order) : e.Result(y, order);
  }
  const std::string a = OperandOr(e, 0, attributes.scalar, order, false);
  e.Result(ComposedBinary(e, attributes.function, a, OperandOr(e, 1, attributes.scalar, order, false)), order);
}

void EmitWhere(Emission& e) {
  const auto& attributes = e.op().as<graph::WhereAttributes>();
  const Order order = e.CommonOrder();
  const std::string condition = e.Operand(0, order, /*truth=*/true), a = OperandOr(e, 1, attributes.a, order, false);
  e.Result(e.Node("Where", {condition, a, OperandOr(e, 2, attributes.b, order, false)}), order);
}

void EmitCast(Emission& e) {
  const bool integers = e.op().as<graph::CastAttributes>().to == DType::kI32;
  const Order order = e.CommonOrder();
  const int64_t type = integers ? TensorProto::INT64 : e.writer().float_type();
  e.Result(e.Node("Cast", {e.Input(0, order)}, {Attribute("to", type)}), order);
}

constexpr EmitterRow kRows[] = {
    {OpKind::kUnary, EmitUnary},
    {OpKind::kBinary, EmitBinary},
    {OpKind::kWhere, EmitWhere},
    {OpKind::kCast, EmitCast},
};

}  // namespace

std::span<const EmitterRow> ArithmeticEmitters() { return kRows; }

}  // namespace lockstep::onnx

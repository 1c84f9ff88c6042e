// Operators that work on each element by itself.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "trainer/onnx/convert/emit.h"

namespace lockstep::onnx {
namespace {

using models::Function;
using models::Node;

void BindFloats(Conversion& to, const OpNode& node, std::string name) { to.Bind(node.output(), {std::move(name)}); }

struct FunctionRow {
  Function::Kind kind;
  const char* name;
};

/// Functions without numbers of their own.
const std::map<std::string, FunctionRow>& PlainFunctions() {
  static const std::map<std::string, FunctionRow> rows = {
      {"Abs", {Function::ABS, "abs"}},
      {"Acos", {Function::ACOS, "acos"}},
      {"Acosh", {Function::ACOSH, "acosh"}},
      {"Asin", {Function::ASIN, "asin"}},
      {"Asinh", {Function::ASINH, "asinh"}},
      {"Atan", {Function::ATAN, "atan"}},
      {"Atanh", {Function::ATANH, "atanh"}},
      {"Ceil", {Function::CEIL, "ceil"}},
      {"Cos", {Function::COS, "cos"}},
      {"Cosh", {Function::COSH, "cosh"}},
      {"Erf", {Function::ERF, "erf"}},
      {"Exp", {Function::EXP, "exp"}},
      {"Floor", {Function::FLOOR, "floor"}},
      {"HardSwish", {Function::HARD_SWISH, "hard_swish"}},
      {"IsNaN", {Function::IS_NAN, "is_nan"}},
      {"Log", {Function::LOG, "log"}},
      {"Mish", {Function::MISH, "mish"}},
      {"Neg", {Function::NEGATIVE, "negative"}},
      {"Not", {Function::NOT, "not"}},
      {"Reciprocal", {Function::RECIPROCAL, "reciprocal"}},
      {"Round", {Function::ROUND, "round"}},
      {"Sign", {Function::SIGN, "sign"}},
      {"Sin", {Function::SIN, "sin"}},
      {"Sinh", {Function::SINH, "sinh"}},
      {"Softplus", {Function::SOFTPLUS, "softplus"}},
      {"Softsign", {Function::SOFTSIGN, "softsign"}},
      {"Sqrt", {Function::SQRT, "sqrt"}},
      {"Tan", {Function::TAN, "tan"}},
  };
  return rows;
}

void ConvertPlain(Conversion& to, const OpNode& node) {
  const FunctionRow& row = PlainFunctions().at(node.op());
  BindFloats(to, node, Functioned(to, to.Floats(node.input(0)), row.kind, to.NameFor(node, row.name)));
}

/// Functions with numbers: attributes of the standard, with its defaults.
void EmitFunction(Conversion& to, const OpNode& node, Function::Kind kind, const char* name, double alpha,
                  double beta) {
  Node function = NodeReading({to.Floats(node.input(0))});
  function.mutable_function()->set_kind(kind);
  if (!std::isnan(alpha)) function.mutable_function()->set_alpha(Decimal(alpha));
  if (!std::isnan(beta)) function.mutable_function()->set_beta(Decimal(beta));
  BindFloats(to, node, to.Emit(std::move(function), to.NameFor(node, name)));
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void ConvertCelu(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::CELU, "celu", node.attributes().Float("alpha", 1), kNone);
}
void ConvertElu(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::ELU, "elu", node.attributes().Float("alpha", 1), kNone);
}
void ConvertLeakyRelu(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::LEAKY_RELU, "leaky_relu", node.attributes().Float("alpha", 0.01), kNone);
}
void ConvertThresholdedRelu(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::THRESHOLDED_RELU, "thresholded_relu", node.attributes().Float("alpha", 1), kNone);
}
void ConvertSelu(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::SELU, "selu", node.attributes().Float("alpha", 1.67326319217681884765625),
               node.attributes().Float("gamma", 1.05070102214813232421875));
}
void ConvertHardSigmoid(Conversion& to, const OpNode& node) {
  EmitFunction(to, node, Function::HARD_SIGMOID, "hard_sigmoid", node.attributes().Float("alpha", 0.2),
               node.attributes().Float("beta", 0.5));
}
void ConvertIsInf(Conversion& to, const OpNode& node) {
  if (node.attributes().Int("detect_negative", 1) == 0 || node.attributes().Int("detect_positive", 1) == 0)
    throw Unsupported("infinities of one sign");
  EmitFunction(to, node, Function::IS_INF, "is_inf", kNone, kNone);
}

void ConvertClip(Conversion& to, const OpNode& node) {
  double bounds[2] = {kNone, kNone};
  for (const size_t i : {1u, 2u}) {
    if (!node.Has(i)) continue;
    const std::optional<double> bound = to.Uniform(node.input(i));
    if (!bound) throw Unsupported("bounds that depend on data");
    bounds[i - 1] = *bound;
  }
  const bool is_relu6 = bounds[0] == 0 && bounds[1] == 6;
  EmitFunction(to, node, Function::CLIP, is_relu6 ? "relu6" : "clip", bounds[0], bounds[1]);
}

void EmitActivation(Conversion& to, const OpNode& node, models::Activation activation, const char* name) {
  Node one = NodeReading({to.Floats(node.input(0))});
  one.set_activation(activation);
  BindFloats(to, node, to.Emit(std::move(one), to.NameFor(node, name)));
}

void ConvertRelu(Conversion& to, const OpNode& node) { EmitActivation(to, node, models::RELU, "relu"); }
void ConvertSigmoid(Conversion& to, const OpNode& node) { EmitActivation(to, node, models::SIGMOID, "sigmoid"); }
void ConvertTanh(Conversion& to, const OpNode& node) { EmitActivation(to, node, models::TANH, "tanh"); }
void ConvertGelu(Conversion& to, const OpNode& node) {
  const bool by_tanh = node.attributes().String("approximate", "none") == "tanh";
  EmitActivation(to, node, by_tanh ? models::GELU_TANH : models::GELU, "gelu");
}
void ConvertSwish(Conversion& to, const OpNode& node) {
  if (node.attributes().Float("alpha", 1) != 1) throw Unsupported("an alpha other than 1");
  EmitActivation(to, node, models::SILU, "silu");
}

/// Arithmetic of two: what it is in a recipe.
struct OperationRow {
  OperandOf operation;
  const char* name;
};
const std::map<std::string, OperationRow>& Operations() {
  static const std::map<std::string, OperationRow> rows = {
      {"Add", {&Node::mutable_add, "add"}},
      {"And", {&Node::mutable_logical_and, "and"}},
      {"Div", {&Node::mutable_divide, "divide"}},
      {"Equal", {&Node::mutable_equal, "equal"}},
      {"Greater", {&Node::mutable_greater, "greater"}},
      {"GreaterOrEqual", {&Node::mutable_greater_or_equal, "greater_or_equal"}},
      {"Less", {&Node::mutable_less, "less"}},
      {"LessOrEqual", {&Node::mutable_less_or_equal, "less_or_equal"}},
      {"Max", {&Node::mutable_maximum, "maximum"}},
      {"Mean", {&Node::mutable_add, "add"}},
      {"Min", {&Node::mutable_minimum, "minimum"}},
      {"Mul", {&Node::mutable_multiply, "multiply"}},
      {"Or", {&Node::mutable_logical_or, "or"}},
      {"PRelu", {&Node::mutable_prelu, "prelu"}},
      {"Pow", {&Node::mutable_power, "power"}},
      {"Sub", {&Node::mutable_subtract, "subtract"}},
      {"Sum", {&Node::mutable_add, "add"}},
      {"Xor", {&Node::mutable_logical_xor, "xor"}},
  };
  return rows;
}

/// x and y, of which one may be a number that the recipe says.
std::string Operated(Conversion& to, const OpNode& node, const OperationRow& row, const std::string& name) {
  const std::optional<double> a = to.Number(node.input(0), node.output_dims());
  const std::optional<double> b = to.Number(node.input(1), node.output_dims());
  // A number has no shape: the other operand must be as large as the result.
  const bool first = a.has_value() && node.input_dims(1) == node.output_dims();
  const bool second = b.has_value() && node.input_dims(0) == node.output_dims();
  if (second) return WithNumber(to, to.Floats(node.input(0)), row.operation, *b, name);
  if (!first) {
    const auto operand = [&](size_t i) {
      // Where the other is as large as the result, a constant of the batch may stay one row.
      return node.input_dims(1 - i) == node.output_dims() ? to.FloatsToBroadcast(node.input(i))
                                                          : to.Floats(node.input(i));
    };
    const std::string x = operand(0);
    return WithOther(to, x, row.operation, operand(1), name);
  }
  Node one = NodeReading({to.Floats(node.input(1))});
  models::Operand* operand = (one.*row.operation)();
  operand->set_value(Decimal(*a));
  // Of sums and products of two either may come first.
  if (node.op() != "Add" && node.op() != "Mul") operand->set_first(true);
  return to.Emit(std::move(one), name);
}

void ConvertBinary(Conversion& to, const OpNode& node) {
  const OperationRow& row = Operations().at(node.op());
  const std::string name = to.NameFor(node, row.name);
  if (node.inputs() == 2) {
    std::string y = Operated(to, node, row, name);
    // Integers are floats here, and whole numbers all the same but behind divisions.
    if (node.op() == "Div" && IsIntegerType(node.output_type())) {
      Node cast = NodeReading({y});
      cast.mutable_cast()->set_integers(true);
      return to.Bind(node.output(), {to.Emit(std::move(cast), name + ".whole"), true});
    }
    if (node.op() == "Mean") y = WithNumber(to, y, &Node::mutable_divide, 2, name + ".of_two");
    return BindFloats(to, node, y);
  }
  std::string y = to.Floats(node.input(0));
  for (size_t i = 1; i < node.inputs(); ++i) y = WithOther(to, y, row.operation, to.Floats(node.input(i)), name);
  if (node.op() == "Mean" && node.inputs() > 1)
    y = WithNumber(to, y, &Node::mutable_divide, static_cast<double>(node.inputs()), name + ".of_all");
  BindFloats(to, node, y);
}

void ConvertMod(Conversion& to, const OpNode& node) {
  const bool remainder = node.attributes().Int("fmod", 0) != 0;
  const OperationRow row =
      remainder ? OperationRow{&Node::mutable_remainder, "remainder"} : OperationRow{&Node::mutable_modulo, "modulo"};
  BindFloats(to, node, Operated(to, node, row, to.NameFor(node, row.name)));
}

void ConvertWhere(Conversion& to, const OpNode& node) {
  Node where = NodeReading({to.Floats(node.input(0))});
  Dims others = node.input_dims(0);
  std::optional<double> numbers[2];
  for (const size_t i : {1u, 2u}) numbers[i - 1] = to.Number(node.input(i), node.output_dims());
  // Numbers have no shape: what is left must be as large as the result.
  for (const size_t i : {1u, 2u})
    if (!numbers[i - 1]) others = Broadcast(others, node.input_dims(i));
  const bool as_numbers = others == node.output_dims();
  for (const size_t i : {1u, 2u}) {
    const std::optional<double>& number = numbers[i - 1];
    if (!number || !as_numbers)
      where.add_input(to.Floats(node.input(i)));
    else if (i == 1)
      where.mutable_where()->set_a(Decimal(*number));
    else
      where.mutable_where()->set_b(Decimal(*number));
  }
  where.mutable_where();
  BindFloats(to, node, to.Emit(std::move(where), to.NameFor(node, "where")));
}

void ConvertCast(Conversion& to, const OpNode& node) {
  const int from = node.input_type(0), into = node.output_type();
  const Ref x = to.Value(node.input(0));
  if (into == TensorProto::BOOL && from != TensorProto::BOOL) {  // twice not: other than 0
    const std::string name = to.NameFor(node, "is_not_zero");
    const std::string not_x = Functioned(to, to.Floats(node.input(0)), Function::NOT, name + ".not");
    return BindFloats(to, node, Functioned(to, not_x, Function::NOT, name));
  }
  if (IsIntegerType(into) && IsFloatType(from)) return to.Bind(node.output(), {to.Integers(node.input(0)), true});
  if (IsFloatType(into)) return BindFloats(to, node, to.Floats(node.input(0)));
  to.Bind(node.output(), x);
}

void ConvertIdentity(Conversion& to, const OpNode& node) { to.Bind(node.output(), to.Value(node.input(0))); }

/// Any Dropout is one of its ratio: without the flag training_mode the standard has it do nothing, but so PyTorch
/// writes those inside attention.
void ConvertDropout(Conversion& to, const OpNode& node) {
  const std::optional<double> ratio = node.Has(1) ? to.Uniform(node.input(1)) : std::optional<double>(0.5);
  if (!ratio) throw Unsupported("a ratio that depends on data");
  if (node.proto().output_size() > 1 && !to.view().ReadersOf(node.output(1)).empty())
    throw Unsupported("a mask that is read");
  if (*ratio == 0) return ConvertIdentity(to, node);
  Node dropout = NodeReading({to.Floats(node.input(0))});
  dropout.set_dropout(Decimal(*ratio));
  ++to.counts().dropouts;
  BindFloats(to, node, to.Emit(std::move(dropout), to.NameFor(node, "dropout")));
}

void ConvertShrink(Conversion& to, const OpNode& node) {
  const double bias = node.attributes().Float("bias", 0), lambda = node.attributes().Float("lambd", 0.5);
  const std::string name = to.NameFor(node, "shrink"), x = to.Floats(node.input(0));
  const std::string low = WithNumber(to, x, &Node::mutable_less, -lambda, name + ".low");
  const std::string high = WithNumber(to, x, &Node::mutable_greater, lambda, name + ".high");
  Node where = NodeReading({low, WithNumber(to, x, &Node::mutable_add, bias, name + ".plus")});
  where.mutable_where()->set_b(0);
  const std::string below = to.Emit(std::move(where), name + ".below");
  const std::string minus = WithNumber(to, x, &Node::mutable_subtract, bias, name + ".minus");
  Node above = NodeReading({high, minus, below});
  above.mutable_where();
  BindFloats(to, node, to.Emit(std::move(above), name));
}

}  // namespace

ConvertRules ElementwiseConversions() {
  ConvertRules rules = {
      {"Cast", ConvertCast},
      {"CastLike", ConvertCast},
      {"Celu", ConvertCelu},
      {"Clip", ConvertClip},
      {"Dropout", ConvertDropout},
      {"Elu", ConvertElu},
      {"Gelu", ConvertGelu},
      {"HardSigmoid", ConvertHardSigmoid},
      {"Identity", ConvertIdentity},
      {"IsInf", ConvertIsInf},
      {"LeakyRelu", ConvertLeakyRelu},
      {"Mod", ConvertMod},
      {"Relu", ConvertRelu},
      {"Selu", ConvertSelu},
      {"Shrink", ConvertShrink},
      {"Sigmoid", ConvertSigmoid},
      {"Swish", ConvertSwish},
      {"Tanh", ConvertTanh},
      {"ThresholdedRelu", ConvertThresholdedRelu},
      {"Where", ConvertWhere},
  };
  for (const auto& [op, row] : PlainFunctions()) rules[op] = ConvertPlain;
  for (const auto& [op, row] : Operations()) rules[op] = ConvertBinary;
  return rules;
}

}  // namespace lockstep::onnx

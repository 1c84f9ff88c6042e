#include "trainer/graph/tensor_functions.h"

#include <cstddef>

namespace lockstep::graph {
namespace {

template <typename Function>
struct FunctionRow {
  Function function;
  const char* name;
  bool has_gradient = true;
};

constexpr FunctionRow<UnaryFunction> kUnaryFunctions[] = {
    {UnaryFunction::kAbs, "abs"},
    {UnaryFunction::kAcos, "acos"},
    {UnaryFunction::kAcosh, "acosh"},
    {UnaryFunction::kAsin, "asin"},
    {UnaryFunction::kAsinh, "asinh"},
    {UnaryFunction::kAtan, "atan"},
    {UnaryFunction::kAtanh, "atanh"},
    {UnaryFunction::kCeil, "ceil", false},
    {UnaryFunction::kCelu, "celu"},
    {UnaryFunction::kClip, "clip"},
    {UnaryFunction::kCos, "cos"},
    {UnaryFunction::kCosh, "cosh"},
    {UnaryFunction::kElu, "elu"},
    {UnaryFunction::kErf, "erf"},
    {UnaryFunction::kExp, "exp"},
    {UnaryFunction::kFloor, "floor", false},
    {UnaryFunction::kHardSigmoid, "hard_sigmoid"},
    {UnaryFunction::kHardSwish, "hard_swish"},
    {UnaryFunction::kIsInf, "is_inf", false},
    {UnaryFunction::kIsNan, "is_nan", false},
    {UnaryFunction::kLeakyRelu, "leaky_relu"},
    {UnaryFunction::kLog, "log"},
    {UnaryFunction::kMish, "mish"},
    {UnaryFunction::kNegative, "negative"},
    {UnaryFunction::kNot, "not", false},
    {UnaryFunction::kReciprocal, "reciprocal"},
    {UnaryFunction::kRound, "round", false},
    {UnaryFunction::kSelu, "selu"},
    {UnaryFunction::kSign, "sign", false},
    {UnaryFunction::kSin, "sin"},
    {UnaryFunction::kSinh, "sinh"},
    {UnaryFunction::kSoftplus, "softplus"},
    {UnaryFunction::kSoftsign, "softsign"},
    {UnaryFunction::kSqrt, "sqrt"},
    {UnaryFunction::kTan, "tan"},
    {UnaryFunction::kThresholdedRelu, "thresholded_relu"},
};

constexpr FunctionRow<BinaryFunction> kBinaryFunctions[] = {
    {BinaryFunction::kAdd, "add"},
    {BinaryFunction::kSubtract, "subtract"},
    {BinaryFunction::kMultiply, "multiply"},
    {BinaryFunction::kDivide, "divide"},
    {BinaryFunction::kPower, "power"},
    {BinaryFunction::kMinimum, "minimum"},
    {BinaryFunction::kMaximum, "maximum"},
    {BinaryFunction::kRemainder, "remainder"},
    {BinaryFunction::kModulo, "modulo"},
    {BinaryFunction::kPRelu, "prelu"},
    {BinaryFunction::kEqual, "equal", false},
    {BinaryFunction::kLess, "less", false},
    {BinaryFunction::kLessOrEqual, "less_or_equal", false},
    {BinaryFunction::kGreater, "greater", false},
    {BinaryFunction::kGreaterOrEqual, "greater_or_equal", false},
    {BinaryFunction::kAnd, "and", false},
    {BinaryFunction::kOr, "or", false},
    {BinaryFunction::kXor, "xor", false},
};

/// Rows stand in the order of their enumeration.
template <typename Function, size_t kRows>
constexpr bool InOrder(const FunctionRow<Function> (&rows)[kRows]) {
  for (size_t i = 0; i < kRows; ++i)
    if (rows[i].function != static_cast<Function>(i)) return false;
  return kRows == static_cast<size_t>(Function::kCount);
}
static_assert(InOrder(kUnaryFunctions));
static_assert(InOrder(kBinaryFunctions));

}  // namespace

const char* Name(UnaryFunction function) { return kUnaryFunctions[static_cast<size_t>(function)].name; }
const char* Name(BinaryFunction function) { return kBinaryFunctions[static_cast<size_t>(function)].name; }
bool HasGradient(UnaryFunction function) { return kUnaryFunctions[static_cast<size_t>(function)].has_gradient; }
bool HasGradient(BinaryFunction function) { return kBinaryFunctions[static_cast<size_t>(function)].has_gradient; }

int ScalarOperands(const ElementStep& step) {
  // Operands that the step has; the others are absent.
  const size_t first = std::holds_alternative<BinaryAttributes>(step.function) ? 0 : 1;
  const size_t count = std::holds_alternative<BinaryAttributes>(step.function)       ? 2
                       : std::holds_alternative<BinaryGradAttributes>(step.function) ? 3
                       : std::holds_alternative<WhereAttributes>(step.function)      ? 3
                                                                                     : 0;
  int scalars = 0;
  for (size_t i = first; i < count; ++i) scalars += step.operands[i] == ElementStep::kScalar ? 1 : 0;
  return scalars;
}

}  // namespace lockstep::graph

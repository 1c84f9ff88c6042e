// The functions of elementwise tensor ops (kUnary, kBinary, kWhere, kCast and their gradients), and what these ops must
// know beyond their operands' shapes. Truth values are floats: 0 is false, all else is true, and results are 0 or 1.
// Not-a-number goes in and comes out, save where a function asks for it. Shapes broadcast as numpy's do: aligned at
// their last dimensions, of which each is the same or 1.
//
// Gradients are PyTorch's, also at kinks: half of the gradient to each of two equal operands of a minimum or maximum,
// none through kSign, kFloor, kCeil, kRound, kNot, kIsNan, kIsInf and truth values.
#pragma once

#include <array>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/shape.h"

namespace lockstep::graph {

enum class OpKind : uint8_t;      // ops.h
enum class Activation : uint8_t;  // ops.h

/// Of x. Parameters are UnaryAttributes' alpha and beta. Relu, gelu, silu, tanh and sigmoid are kActivation's.
enum class UnaryFunction : uint8_t {
  kAbs,
  kAcos,
  kAcosh,
  kAsin,
  kAsinh,
  kAtan,
  kAtanh,
  kCeil,
  kCelu,  ///< x where x > 0, else alpha (e^(x / alpha) - 1)
  kClip,  ///< min(max(x, alpha), beta); the gradient passes where alpha <= x <= beta
  kCos,
  kCosh,
  kElu,  ///< x where x > 0, else alpha (e^x - 1)
  kErf,
  kExp,
  kFloor,
  kHardSigmoid,  ///< max(0, min(1, alpha x + beta))
  kHardSwish,    ///< x max(0, min(1, x / 6 + 1 / 2)) (Howard et al. 2019)
  kIsInf,
  kIsNan,
  kLeakyRelu,  ///< x where x > 0, else alpha x
  kLog,
  kMish,  ///< x tanh(log(1 + e^x)) (Misra 2019)
  kNegative,
  kNot,  ///< 1 where x is 0
  kReciprocal,
  kRound,  ///< to the nearest integer, half to even
  kSelu,   ///< beta (x where x > 0, else alpha (e^x - 1))
  kSign,
  kSin,
  kSinh,
  kSoftplus,  ///< log(1 + e^x)
  kSoftsign,  ///< x / (1 + |x|)
  kSqrt,
  kTan,
  kThresholdedRelu,  ///< x where x > alpha, else 0
  kCount,
};

/// Of a and b.
enum class BinaryFunction : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kPower,      ///< as C's pow
  kMinimum,    ///< not-a-number where either operand is
  kMaximum,    ///< likewise
  kRemainder,  ///< C's fmod: of a's sign
  kModulo,     ///< a - b floor(a / b): of b's sign, as Python's %
  kPRelu,      ///< a where a > 0, else a b
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kAnd,
  kOr,
  kXor,
  kCount,
};

/// "leaky_relu" and the like.
const char* Name(UnaryFunction function);
const char* Name(BinaryFunction function);

/// Whether the result depends on operands smoothly, almost everywhere. What doesn't has no gradient.
bool HasGradient(UnaryFunction function);
bool HasGradient(BinaryFunction function);

struct UnaryAttributes {  // kUnary, kUnaryGrad
  UnaryFunction function = UnaryFunction::kAbs;
  float alpha = 0, beta = 0;
  bool operator==(const UnaryAttributes&) const = default;
};
struct BinaryAttributes {
  BinaryFunction function = BinaryFunction::kAdd;
  float scalar = 0;  ///< the operand that is absent
  bool operator==(const BinaryAttributes&) const = default;
};
struct BinaryGradAttributes {
  BinaryFunction function = BinaryFunction::kMultiply;
  float scalar = 0;  ///< the operand that is absent
  int operand = 0;   ///< by which of both the derivative is: 0 or 1
  bool operator==(const BinaryGradAttributes&) const = default;
};
struct WhereAttributes {
  float a = 0, b = 0;  ///< operands that are absent
  bool operator==(const WhereAttributes&) const = default;
};
struct CastAttributes {
  DType to = DType::kF32;  ///< f32, bf16 or i32
  bool operator==(const CastAttributes&) const = default;
};

/// A function of kFusedElementwise: that of an op of `kind` (kUnary, kUnaryGrad, kBinary, kBinaryGrad, kWhere,
/// kActivation, kActivationGrad) with its operands in order. `operands`: the op's input of that number, or, from
/// FusedAttributes::inputs on, the result of an earlier step; kScalar: absent.
struct ElementStep {
  static constexpr int8_t kScalar = -1;
  OpKind kind{};
  std::variant<UnaryAttributes, BinaryAttributes, BinaryGradAttributes, WhereAttributes, Activation> function;
  std::array<int8_t, 3> operands = {kScalar, kScalar, kScalar};
  bool operator==(const ElementStep&) const = default;
};
/// How many of the step's operands are scalars.
int ScalarOperands(const ElementStep& step);
struct FusedAttributes {
  static constexpr int kMaxInputs = 8, kMaxSteps = 16;
  static constexpr int kMaxConstants = 16;  ///< operands that are scalars
  int inputs = 1;
  std::vector<ElementStep> steps;  ///< the last one's result is the op's
  DType result = DType::kF32;      ///< of y
  bool operator==(const FusedAttributes&) const = default;
};

}  // namespace lockstep::graph

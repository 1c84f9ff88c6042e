// Elementwise tensor ops' functions (trainer/graph/tensor_functions.h) and their gradients, of one element each, for
// all backends. Gradients are of the result by an operand, times what flows in.
#pragma once

#include "base/host_device.h"
#include "trainer/graph/tensor_functions.h"
#include "trainer/kernels/math.h"
#include "trainer/kernels/tensor_math.h"

namespace lockstep::kernels {

/// tanh(log(1 + e^x)) by n / (n + 2), n = e^x (e^x + 2), which is 1 in float from 20 on; and its slope.
struct MishGate {
  float value, slope;
};
LOCKSTEP_HD MishGate MishAt(float x) {
  const float e = Exp(x > 20.0f ? 20.0f : x), n = e * (e + 2.0f), d = n + 2.0f;
  return {n / d, x > 20.0f ? 0.0f : 4.0f * e / d * ((e + 1.0f) / d)};
}

template <graph::UnaryFunction kFunction>
LOCKSTEP_HD float Unary(float x, float alpha, float beta) {
  using graph::UnaryFunction;
  if constexpr (kFunction == UnaryFunction::kAbs) return Absolute(x);
  if constexpr (kFunction == UnaryFunction::kAcos) return Acos(x);
  if constexpr (kFunction == UnaryFunction::kAcosh) return Acosh(x);
  if constexpr (kFunction == UnaryFunction::kAsin) return Asin(x);
  if constexpr (kFunction == UnaryFunction::kAsinh) return Asinh(x);
  if constexpr (kFunction == UnaryFunction::kAtan) return Atan(x);
  if constexpr (kFunction == UnaryFunction::kAtanh) return Atanh(x);
  if constexpr (kFunction == UnaryFunction::kCeil) return -Floor(-x);
  if constexpr (kFunction == UnaryFunction::kCelu) return x > 0.0f ? x : alpha * ExpMinusOne(x / alpha);
  if constexpr (kFunction == UnaryFunction::kClip) {
    const float raised = x < alpha ? alpha : x;
    return raised > beta ? beta : raised;
  }
  if constexpr (kFunction == UnaryFunction::kCos) return Cos(x);
  if constexpr (kFunction == UnaryFunction::kCosh) return Cosh(x);
  if constexpr (kFunction == UnaryFunction::kElu) return x > 0.0f ? x : alpha * ExpMinusOne(x);
  if constexpr (kFunction == UnaryFunction::kErf) return Erf(x);
  if constexpr (kFunction == UnaryFunction::kExp) return Exp(x);
  if constexpr (kFunction == UnaryFunction::kFloor) return Floor(x);
  if constexpr (kFunction == UnaryFunction::kHardSigmoid) {
    const float line = alpha * x + beta;
    return line < 0.0f ? 0.0f : line > 1.0f ? 1.0f : line;
  }
  if constexpr (kFunction == UnaryFunction::kHardSwish) {
    const float line = x + 3.0f;
    return x * (line < 0.0f ? 0.0f : line > 6.0f ? 6.0f : line) / 6.0f;
  }
  if constexpr (kFunction == UnaryFunction::kIsInf) return IsInf(x) ? 1.0f : 0.0f;
  if constexpr (kFunction == UnaryFunction::kIsNan) return IsNan(x) ? 1.0f : 0.0f;
  if constexpr (kFunction == UnaryFunction::kLeakyRelu) return x > 0.0f ? x : alpha * x;
  if constexpr (kFunction == UnaryFunction::kLog) return LogOf(x);
  if constexpr (kFunction == UnaryFunction::kMish) return x * MishAt(x).value;
  if constexpr (kFunction == UnaryFunction::kNegative) return -x;
  if constexpr (kFunction == UnaryFunction::kNot) return x == 0.0f ? 1.0f : 0.0f;
  if constexpr (kFunction == UnaryFunction::kReciprocal) return 1.0f / x;
  if constexpr (kFunction == UnaryFunction::kRound) return RoundHalfToEven(x);
  if constexpr (kFunction == UnaryFunction::kSelu) return beta * (x > 0.0f ? x : alpha * ExpMinusOne(x));
  if constexpr (kFunction == UnaryFunction::kSign) return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
  if constexpr (kFunction == UnaryFunction::kSin) return Sin(x);
  if constexpr (kFunction == UnaryFunction::kSinh) return Sinh(x);
  if constexpr (kFunction == UnaryFunction::kSoftplus)
    return (x > 0.0f || IsNan(x) ? x : 0.0f) + LogOfOnePlus(Exp(-Absolute(x)));
  if constexpr (kFunction == UnaryFunction::kSoftsign) return x / (1.0f + Absolute(x));
  if constexpr (kFunction == UnaryFunction::kSqrt) return SquareRoot(x);
  if constexpr (kFunction == UnaryFunction::kTan) return Tan(x);
  if constexpr (kFunction == UnaryFunction::kThresholdedRelu) return x <= alpha ? 0.0f : x;
  return x;
}

template <graph::UnaryFunction kFunction>
LOCKSTEP_HD float UnaryGradient(float dy, float x, float alpha, float beta) {
  using graph::UnaryFunction;
  if constexpr (kFunction == UnaryFunction::kAbs) return x > 0.0f ? dy : x < 0.0f ? -dy : 0.0f;
  if constexpr (kFunction == UnaryFunction::kAcos) return -dy / SquareRoot((1.0f - x) * (1.0f + x));
  if constexpr (kFunction == UnaryFunction::kAcosh) return dy / SquareRoot((x - 1.0f) * (x + 1.0f));
  if constexpr (kFunction == UnaryFunction::kAsin) return dy / SquareRoot((1.0f - x) * (1.0f + x));
  if constexpr (kFunction == UnaryFunction::kAsinh) return dy / SquareRoot(x * x + 1.0f);
  if constexpr (kFunction == UnaryFunction::kAtan) return dy / (1.0f + x * x);
  if constexpr (kFunction == UnaryFunction::kAtanh) return dy / ((1.0f - x) * (1.0f + x));
  if constexpr (kFunction == UnaryFunction::kCelu) return x > 0.0f ? dy : dy * Exp(x / alpha);
  if constexpr (kFunction == UnaryFunction::kClip) return x >= alpha && x <= beta ? dy : 0.0f;
  if constexpr (kFunction == UnaryFunction::kCos) return -dy * Sin(x);
  if constexpr (kFunction == UnaryFunction::kCosh) return dy * Sinh(x);
  if constexpr (kFunction == UnaryFunction::kElu) return x > 0.0f ? dy : dy * alpha * Exp(x);
  if constexpr (kFunction == UnaryFunction::kErf) return dy * (1.128379167f * Exp(-(x * x)));
  if constexpr (kFunction == UnaryFunction::kExp) return dy * Exp(x);
  if constexpr (kFunction == UnaryFunction::kHardSigmoid) {
    const float line = alpha * x + beta;
    return line > 0.0f && line < 1.0f ? dy * alpha : 0.0f;
  }
  if constexpr (kFunction == UnaryFunction::kHardSwish)
    return x <= -3.0f ? 0.0f : x < 3.0f ? dy * (x / 3.0f + 0.5f) : dy;
  if constexpr (kFunction == UnaryFunction::kLeakyRelu) return x > 0.0f ? dy : dy * alpha;
  if constexpr (kFunction == UnaryFunction::kLog) return dy / x;
  if constexpr (kFunction == UnaryFunction::kMish) {
    const MishGate gate = MishAt(x);
    return dy * (gate.value + x * gate.slope);
  }
  if constexpr (kFunction == UnaryFunction::kNegative) return -dy;
  if constexpr (kFunction == UnaryFunction::kReciprocal) {
    const float y = 1.0f / x;
    return -dy * y * y;
  }
  if constexpr (kFunction == UnaryFunction::kSelu) return dy * (x > 0.0f ? beta : beta * alpha * Exp(x));
  if constexpr (kFunction == UnaryFunction::kSin) return dy * Cos(x);
  if constexpr (kFunction == UnaryFunction::kSinh) return dy * Cosh(x);
  if constexpr (kFunction == UnaryFunction::kSoftplus) return dy * Sigmoid(x);
  if constexpr (kFunction == UnaryFunction::kSoftsign) {
    const float d = 1.0f + Absolute(x);
    return dy / d / d;
  }
  if constexpr (kFunction == UnaryFunction::kSqrt) return dy / (2.0f * SquareRoot(x));
  if constexpr (kFunction == UnaryFunction::kTan) {
    const float y = Tan(x);
    return dy * (1.0f + y * y);
  }
  if constexpr (kFunction == UnaryFunction::kThresholdedRelu) return x <= alpha ? 0.0f : dy;
  return 0.0f;
}

template <graph::BinaryFunction kFunction>
LOCKSTEP_HD float Binary(float a, float b) {
  using graph::BinaryFunction;
  const bool is_a = a != 0.0f, is_b = b != 0.0f;
  if constexpr (kFunction == BinaryFunction::kAdd) return a + b;
  if constexpr (kFunction == BinaryFunction::kSubtract) return a - b;
  if constexpr (kFunction == BinaryFunction::kMultiply) return a * b;
  if constexpr (kFunction == BinaryFunction::kDivide) return a / b;
  if constexpr (kFunction == BinaryFunction::kPower) return Power(a, b);
  if constexpr (kFunction == BinaryFunction::kMinimum) return a < b || IsNan(a) ? a : b;
  if constexpr (kFunction == BinaryFunction::kMaximum) return a > b || IsNan(a) ? a : b;
  if constexpr (kFunction == BinaryFunction::kRemainder) return Remainder(a, b);
  if constexpr (kFunction == BinaryFunction::kModulo) return Modulo(a, b);
  if constexpr (kFunction == BinaryFunction::kPRelu) return a > 0.0f ? a : a * b;
  if constexpr (kFunction == BinaryFunction::kEqual) return a == b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kLess) return a < b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kLessOrEqual) return a <= b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kGreater) return a > b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kGreaterOrEqual) return a >= b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kAnd) return is_a && is_b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kOr) return is_a || is_b ? 1.0f : 0.0f;
  if constexpr (kFunction == BinaryFunction::kXor) return is_a != is_b ? 1.0f : 0.0f;
  return a;
}

/// By operand kOperand.
template <graph::BinaryFunction kFunction, int kOperand>
LOCKSTEP_HD float BinaryGradient(float dy, float a, float b) {
  using graph::BinaryFunction;
  constexpr bool kFirst = kOperand == 0;
  if constexpr (kFunction == BinaryFunction::kSubtract) return kFirst ? dy : -dy;
  if constexpr (kFunction == BinaryFunction::kMultiply) return dy * (kFirst ? b : a);
  if constexpr (kFunction == BinaryFunction::kDivide) return kFirst ? dy / b : -dy * (a / b / b);
  if constexpr (kFunction == BinaryFunction::kPower) {
    if constexpr (kFirst) return b == 0.0f ? 0.0f : dy * (b * Power(a, b - 1.0f));
    return a == 0.0f && b >= 0.0f ? 0.0f : dy * (Power(a, b) * LogOf(a));
  }
  if constexpr (kFunction == BinaryFunction::kMinimum) return a == b ? 0.5f * dy : (kFirst ? a < b : a > b) ? dy : 0.0f;
  if constexpr (kFunction == BinaryFunction::kMaximum) return a == b ? 0.5f * dy : (kFirst ? a > b : a < b) ? dy : 0.0f;
  if constexpr (kFunction == BinaryFunction::kRemainder) return kFirst ? dy : -dy * Truncate(a / b);
  if constexpr (kFunction == BinaryFunction::kModulo) return kFirst ? dy : -dy * Floor(a / b);
  if constexpr (kFunction == BinaryFunction::kPRelu)
    return kFirst ? (a > 0.0f ? dy : dy * b) : a > 0.0f ? 0.0f : dy * a;
  return dy;
}

}  // namespace lockstep::kernels

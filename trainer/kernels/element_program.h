// Programs of elementwise functions, as both backends run them: an op of one function is a program of one step, and
// kFusedElementwise has several. Values have places: first the inputs, then results of steps, whose places serve again
// when nobody reads them any more. Constants are numbered apart. The last step's result is the program's.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "trainer/graph/ops.h"
#include "trainer/kernels/element_functions.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::kernels {

enum class StepKind : uint8_t {
  kCopy,
  kUnary,
  kUnaryGrad,
  kBinary,
  kBinaryGradA,
  kBinaryGradB,
  kWhere,
  kActivation,
  kActivationGrad,
  kSquare,  ///< the powers that are a product
  kCube,
  kSquareGrad,
  kCubeGrad,
};

struct ProgramStep {
  StepKind kind = StepKind::kCopy;
  uint8_t function = 0;      ///< a UnaryFunction, BinaryFunction or Activation
  uint8_t operands[3] = {};  ///< places, or kFirstConstant and a constant's number
  uint8_t result = 0;        ///< a place; not that of an operand
  float alpha = 0, beta = 0;
};

struct ElementProgram {
  static constexpr int kMaxInputs = graph::FusedAttributes::kMaxInputs, kMaxSteps = graph::FusedAttributes::kMaxSteps,
                       kMaxConstants = graph::FusedAttributes::kMaxConstants;
  static constexpr int kMaxPlaces = kMaxInputs + kMaxSteps;
  static constexpr int kFirstConstant = 64;  ///< operands from here on are constants
  int inputs = 0, constants = 0, steps = 0;
  int places = 0;  ///< of inputs and results
  float constant[kMaxConstants] = {};
  ProgramStep step[kMaxSteps];
};

// Steps as functors of up to three operands, of which kOperands are read.

struct CopyStep {
  static constexpr int kOperands = 1;
  LOCKSTEP_HD float operator()(float a, float, float) const { return a; }
};
template <graph::UnaryFunction kFunction>
struct UnaryStep {
  static constexpr int kOperands = 1;
  float alpha, beta;
  LOCKSTEP_HD float operator()(float x, float, float) const { return Unary<kFunction>(x, alpha, beta); }
};
template <graph::UnaryFunction kFunction>
struct UnaryGradStep {
  static constexpr int kOperands = 2;
  float alpha, beta;
  LOCKSTEP_HD float operator()(float dy, float x, float) const { return UnaryGradient<kFunction>(dy, x, alpha, beta); }
};
template <graph::BinaryFunction kFunction>
struct BinaryStep {
  static constexpr int kOperands = 2;
  LOCKSTEP_HD float operator()(float a, float b, float) const { return Binary<kFunction>(a, b); }
};
template <graph::BinaryFunction kFunction, int kOperand>
struct BinaryGradStep {
  static constexpr int kOperands = 3;
  LOCKSTEP_HD float operator()(float dy, float a, float b) const {
    return BinaryGradient<kFunction, kOperand>(dy, a, b);
  }
};
struct WhereStep {
  static constexpr int kOperands = 3;
  LOCKSTEP_HD float operator()(float condition, float a, float b) const { return condition != 0.0f ? a : b; }
};
struct SquareStep {
  static constexpr int kOperands = 1;
  LOCKSTEP_HD float operator()(float x, float, float) const { return x * x; }
};
struct CubeStep {
  static constexpr int kOperands = 1;
  LOCKSTEP_HD float operator()(float x, float, float) const { return x * x * x; }
};
struct SquareGradStep {
  static constexpr int kOperands = 2;
  LOCKSTEP_HD float operator()(float dy, float x, float) const { return dy * (2.0f * x); }
};
struct CubeGradStep {
  static constexpr int kOperands = 2;
  LOCKSTEP_HD float operator()(float dy, float x, float) const { return dy * (3.0f * (x * x)); }
};

template <auto kValue>
struct Constant {
  static constexpr auto kConstant = kValue;
};

/// Calls run(Constant<value>{}) for a value of an enumeration in [kFirst, kBehind).
template <typename Enum, int kFirst, int kBehind, typename Run>
LOCKSTEP_HD void WithConstant(Enum value, Run&& run) {
  if constexpr (kBehind - kFirst == 1) {
    run(Constant<static_cast<Enum>(kFirst)>{});
  } else {
    constexpr int kMiddle = (kFirst + kBehind) / 2;
    if (static_cast<int>(value) < kMiddle) {
      WithConstant<Enum, kFirst, kMiddle>(value, run);
    } else {
      WithConstant<Enum, kMiddle, kBehind>(value, run);
    }
  }
}
template <typename Run>
LOCKSTEP_HD void WithFunction(graph::UnaryFunction function, Run&& run) {
  WithConstant<graph::UnaryFunction, 0, static_cast<int>(graph::UnaryFunction::kCount)>(function, run);
}
template <typename Run>
LOCKSTEP_HD void WithFunction(graph::BinaryFunction function, Run&& run) {
  WithConstant<graph::BinaryFunction, 0, static_cast<int>(graph::BinaryFunction::kCount)>(function, run);
}
template <typename Run>
LOCKSTEP_HD void WithFunction(graph::Activation function, Run&& run) {
  WithConstant<graph::Activation, 0, static_cast<int>(graph::Activation::kGeluTanh) + 1>(function, run);
}

/// Calls run(functor) for the step's functor. ActivationStep<kActivation> and ActivationGradStep<kActivation> are the
/// backend's, which choose its mathematics.
template <template <graph::Activation> typename ActivationStep,
          template <graph::Activation> typename ActivationGradStep, typename Run>
LOCKSTEP_HD void WithStep(const ProgramStep& step, Run&& run) {
  const float alpha = step.alpha, beta = step.beta;
  const auto unary = static_cast<graph::UnaryFunction>(step.function);
  const auto binary = static_cast<graph::BinaryFunction>(step.function);
  const auto activation = static_cast<graph::Activation>(step.function);
  switch (step.kind) {
    case StepKind::kCopy:
      return run(CopyStep{});
    case StepKind::kUnary:
      return WithFunction(unary, [&](auto f) LOCKSTEP_INLINE { run(UnaryStep<f.kConstant>{alpha, beta}); });
    case StepKind::kUnaryGrad:
      return WithFunction(unary, [&](auto f) LOCKSTEP_INLINE { run(UnaryGradStep<f.kConstant>{alpha, beta}); });
    case StepKind::kBinary:
      return WithFunction(binary, [&](auto f) LOCKSTEP_INLINE { run(BinaryStep<f.kConstant>{}); });
    case StepKind::kBinaryGradA:
      return WithFunction(binary, [&](auto f) LOCKSTEP_INLINE { run(BinaryGradStep<f.kConstant, 0>{}); });
    case StepKind::kBinaryGradB:
      return WithFunction(binary, [&](auto f) LOCKSTEP_INLINE { run(BinaryGradStep<f.kConstant, 1>{}); });
    case StepKind::kWhere:
      return run(WhereStep{});
    case StepKind::kActivation:
      return WithFunction(activation, [&](auto f) LOCKSTEP_INLINE { run(ActivationStep<f.kConstant>{}); });
    case StepKind::kActivationGrad:
      return WithFunction(activation, [&](auto f) LOCKSTEP_INLINE { run(ActivationGradStep<f.kConstant>{}); });
    case StepKind::kSquare:
      return run(SquareStep{});
    case StepKind::kCube:
      return run(CubeStep{});
    case StepKind::kSquareGrad:
      return run(SquareGradStep{});
    case StepKind::kCubeGrad:
      return run(CubeGradStep{});
  }
}

}  // namespace lockstep::kernels

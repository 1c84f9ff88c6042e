// An elementwise op as a program (element_program.h).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/kernels/element_program.h"

namespace lockstep::kernels {

/// REQUIRES of all: no more steps, inputs and constants than a program can have, which the op table's row checks.
///
/// Writes a program step by step, with results numbered behind inputs as FusedAttributes does, and gives places at the
/// end.
class ProgramWriter {
 public:
  explicit ProgramWriter(int inputs) { program_.inputs = inputs; }

  void Add(graph::OpKind kind, const graph::UnaryAttributes& a, const std::array<int8_t, 3>& operands) {
    const bool gradient = kind == graph::OpKind::kUnaryGrad;
    Append({.kind = gradient ? StepKind::kUnaryGrad : StepKind::kUnary,
            .function = static_cast<uint8_t>(a.function),
            .alpha = a.alpha,
            .beta = a.beta},
           {operands[0], operands[1], kNone}, {});
  }
  void Add(graph::OpKind, const graph::BinaryAttributes& a, const std::array<int8_t, 3>& operands) {
    const bool power = a.function == graph::BinaryFunction::kPower && operands[1] == graph::ElementStep::kScalar;
    if (power && a.scalar == 2.0f) return Append({.kind = StepKind::kSquare}, {operands[0], kNone, kNone}, {});
    if (power && a.scalar == 3.0f) return Append({.kind = StepKind::kCube}, {operands[0], kNone, kNone}, {});
    if (power && a.scalar == 0.5f) {
      return Append({.kind = StepKind::kUnary, .function = static_cast<uint8_t>(graph::UnaryFunction::kSqrt)},
                    {operands[0], kNone, kNone}, {});
    }
    Append({.kind = StepKind::kBinary, .function = static_cast<uint8_t>(a.function)}, {operands[0], operands[1], kNone},
           {a.scalar, a.scalar});
  }
  void Add(graph::OpKind, const graph::BinaryGradAttributes& a, const std::array<int8_t, 3>& operands) {
    const bool power = a.function == graph::BinaryFunction::kPower && operands[2] == graph::ElementStep::kScalar;
    if (power && a.scalar == 2.0f)
      return Append({.kind = StepKind::kSquareGrad}, {operands[0], operands[1], kNone}, {});
    if (power && a.scalar == 3.0f) return Append({.kind = StepKind::kCubeGrad}, {operands[0], operands[1], kNone}, {});
    Append({.kind = a.operand == 0 ? StepKind::kBinaryGradA : StepKind::kBinaryGradB,
            .function = static_cast<uint8_t>(a.function)},
           operands, {0, a.scalar, a.scalar});
  }
  void Add(graph::OpKind, const graph::WhereAttributes& a, const std::array<int8_t, 3>& operands) {
    Append({.kind = StepKind::kWhere}, operands, {0, a.a, a.b});
  }
  void Add(graph::OpKind kind, graph::Activation activation, const std::array<int8_t, 3>& operands) {
    const bool gradient = kind == graph::OpKind::kActivationGrad;
    Append({.kind = gradient ? StepKind::kActivationGrad : StepKind::kActivation,
            .function = static_cast<uint8_t>(activation)},
           {operands[0], operands[1], kNone}, {});
  }
  void AddCopy() { Append({.kind = StepKind::kCopy}, {0, kNone, kNone}, {}); }

  ElementProgram Finish() && {
    GivePlaces();
    return program_;
  }

 private:
  static constexpr int8_t kNone = -2;

  void Append(ProgramStep step, const std::array<int8_t, 3>& operands, const std::array<float, 3>& scalars) {
    for (size_t i = 0; i < operands.size(); ++i) {
      const bool scalar = operands[i] == graph::ElementStep::kScalar && Reads(step, i);
      const int number =
          scalar ? ElementProgram::kFirstConstant + ConstantOf(scalars[i]) : std::max<int>(operands[i], 0);
      step.operands[i] = static_cast<uint8_t>(number);
    }
    program_.step[program_.steps++] = step;
  }

  static bool Reads(const ProgramStep& step, size_t operand) {
    switch (step.kind) {
      case StepKind::kCopy:
      case StepKind::kUnary:
      case StepKind::kActivation:
      case StepKind::kSquare:
      case StepKind::kCube:
        return operand < 1;
      case StepKind::kBinaryGradA:
      case StepKind::kBinaryGradB:
      case StepKind::kWhere:
        return operand < 3;
      default:
        return operand < 2;
    }
  }

  int ConstantOf(float value) {
    for (int i = 0; i < program_.constants; ++i)
      if (std::bit_cast<uint32_t>(program_.constant[i]) == std::bit_cast<uint32_t>(value)) return i;
    program_.constant[program_.constants] = value;
    return program_.constants++;
  }

  /// A result gets the first place that no value has which is still read.
  void GivePlaces() {
    std::vector<int> last_read(static_cast<size_t>(program_.steps), -1);
    for (int i = 0; i < program_.steps; ++i)
      for (const uint8_t operand : program_.step[i].operands)
        if (operand >= program_.inputs && operand < ElementProgram::kFirstConstant)
          last_read[static_cast<size_t>(operand - program_.inputs)] = i;
    std::vector<int> step_in_place;  // whose result has it
    std::vector<int> place_of(static_cast<size_t>(program_.steps));
    for (int i = 0; i < program_.steps; ++i) {
      ProgramStep& step = program_.step[i];
      for (uint8_t& operand : step.operands) {
        if (operand >= program_.inputs && operand < ElementProgram::kFirstConstant)
          operand = static_cast<uint8_t>(place_of[static_cast<size_t>(operand - program_.inputs)]);
      }
      const auto free =
          std::ranges::find_if(step_in_place, [&](int other) { return last_read[static_cast<size_t>(other)] < i; });
      const auto place = static_cast<size_t>(free - step_in_place.begin());
      if (free == step_in_place.end()) step_in_place.push_back(i);
      step_in_place[place] = i;
      place_of[static_cast<size_t>(i)] = program_.inputs + static_cast<int>(place);
      step.result = static_cast<uint8_t>(program_.inputs + static_cast<int>(place));
    }
    program_.places = program_.inputs + static_cast<int>(step_in_place.size());
  }

  ElementProgram program_;
};

/// Of kUnary, kUnaryGrad, kBinary, kBinaryGrad, kWhere, kCast and kFusedElementwise. The program's inputs are the op's
/// operands that are present, in order.
inline ElementProgram ProgramOf(const graph::Op& op) {
  std::array<int8_t, 3> operands = {graph::ElementStep::kScalar, graph::ElementStep::kScalar,
                                    graph::ElementStep::kScalar};
  int inputs = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] == graph::kNoValue) continue;
    if (i < operands.size()) operands[i] = static_cast<int8_t>(inputs);
    ++inputs;
  }
  ProgramWriter writer(inputs);
  const auto add = [&]<typename A>(const A& attributes) {
    if constexpr (std::is_same_v<A, graph::FusedAttributes>) {
      for (const graph::ElementStep& step : attributes.steps)
        std::visit([&](const auto& function) { writer.Add(step.kind, function, step.operands); }, step.function);
    } else if constexpr (std::is_same_v<A, graph::CastAttributes>) {
      writer.AddCopy();
    } else if constexpr (requires { writer.Add(op.kind, attributes, operands); }) {
      writer.Add(op.kind, attributes, operands);
    }
  };
  std::visit(add, op.attributes);
  return std::move(writer).Finish();
}

}  // namespace lockstep::kernels

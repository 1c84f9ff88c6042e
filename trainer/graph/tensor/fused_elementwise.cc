// Elementwise functions that passes::FuseElementwise made one op of.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

std::vector<OutputSpec> InferFused(const Graph& graph, const Op& op) {
  const auto& attributes = AttributesOf<FusedAttributes>(op);
  const auto steps = static_cast<int>(attributes.steps.size());
  CHECK(attributes.inputs >= 1 && attributes.inputs <= FusedAttributes::kMaxInputs, "{} has {} inputs", op.name,
        attributes.inputs);
  CHECK(steps >= 1 && steps <= FusedAttributes::kMaxSteps, "{} has {} steps", op.name, steps);
  int scalars = 0;
  for (int step = 0; step < steps; ++step) {
    scalars += ScalarOperands(attributes.steps[static_cast<size_t>(step)]);
    for (const int8_t operand : attributes.steps[static_cast<size_t>(step)].operands)
      CHECK(operand >= ElementStep::kScalar && operand < attributes.inputs + step, "{}: step {} reads {}", op.name,
            step, operand);
  }
  CHECK(scalars <= FusedAttributes::kMaxConstants, "{} has {} scalars", op.name, scalars);
  Shape shape;
  for (int i = 0; i < FusedAttributes::kMaxInputs; ++i) {
    CHECK(HasInput(op, i) == (i < attributes.inputs), "{}: input {}", op.name, i);
    if (!HasInput(op, i)) break;
    const Value& input = InputOf(graph, op, i);
    if (input.dtype != DType::kI32) RequireFloat(op, input, "input");
    shape = RequireBroadcast(op, shape, input.shape);
  }
  return {{shape, attributes.result}};
}

double FusedFlops(const Graph& graph, const Op& op) {
  return FlopsPerElement(graph, op) * static_cast<double>(AttributesOf<FusedAttributes>(op).steps.size());
}

constexpr OpRow kRows[] = {
    {OpKind::kFusedElementwise, "fused_elementwise", "in0, in1?, in2?, in3?, in4?, in5?, in6?, in7?", "y",
     "y = a program of functions", InferFused, nullptr, 0, FusedFlops},
};

}  // namespace

std::span<const OpRow> FusedElementwiseRows() { return kRows; }

}  // namespace lockstep::graph

// One op on one backend, from tensors to tensors: for tests that compare an op with itself, or with what they computed.
#pragma once

#include <utility>
#include <vector>

#include "base/error.h"
#include "tests/trainer/kernels/op_runner.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {

/// An operand: a tensor and how a backend holds it. Of rank 0: absent.
struct OperandValue {
  reference::Tensor tensor;
  DType dtype = DType::kF32;
  graph::Role role = graph::Role::kActivation;
};

inline OperandValue Floats(Shape shape, std::vector<double> values, graph::Role role = graph::Role::kActivation) {
  return {{shape, std::move(values), {}, 1}, DType::kF32, role};
}
inline OperandValue Integers(Shape shape, std::vector<double> values) {
  return {{shape, std::move(values), {}, 1}, DType::kI32, graph::Role::kInput};
}
inline OperandValue StepBlockOperand() { return {{{1}, {}, {}, 1}, DType::kU8, graph::Role::kStepBlock}; }

/// All results of the op, as float kernels round them.
inline std::vector<reference::Tensor> RunOn(engine::Backend& backend, graph::OpKind kind,
                                            const std::vector<OperandValue>& operands,
                                            const graph::Attributes& attributes) {
  Instance instance;
  std::vector<graph::ValueId> ids;
  for (const OperandValue& operand : operands) {
    graph::ValueId id = graph::kNoValue;
    if (operand.role == graph::Role::kStepBlock) {
      id = graph::EnsureStepBlock(instance.graph);
    } else if (operand.tensor.shape.rank() > 0) {
      CHECK(static_cast<int64_t>(operand.tensor.data.size()) == operand.tensor.shape.size());
      id = static_cast<graph::ValueId>(instance.graph.values.size());
      instance.graph.values.push_back({"operand", operand.tensor.shape, operand.dtype, operand.role});
    }
    ids.push_back(id);
    instance.inputs.push_back(operand.tensor);
  }
  graph::AppendOp(instance.graph, kind, ids, attributes, "op");
  OpRunner runner(backend, instance, {});
  const std::vector<std::vector<std::byte>> bytes = runner.Run();
  std::vector<reference::Tensor> results;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const graph::Value& value = instance.graph.value(instance.op().outputs[i]);
    results.push_back({value.shape, Decode(value.dtype, bytes[i]), {}, 1});
  }
  return results;
}

}  // namespace lockstep::conformance

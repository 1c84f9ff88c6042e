#include "trainer/kernels/reference/reference.h"

#include <utility>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {

using graph::OpKind;

namespace {

const OpFunction& FunctionOf(OpKind kind) {
  static const graph::RowsByKind<OpFunction> rows = graph::CollectRows<OpFunction>(
      "the reference", {LinearRows(), ConvolutionRows(), PoolingRows(), NormRows(), ElementwiseRows(), LayoutRows(),
                        SequenceRows(), RecurrentRows(), WindowsRows(), CtcRows(), LossRows(), DetectionRows(),
                        ReduceRows(), StridedRows(), TensorElementwiseRows(), ResizeRows()});
  const OpFunction* row = rows.Find(kind);
  CHECK(row != nullptr, "no reference for {}", graph::Name(kind));
  return *row;
}

}  // namespace

std::vector<Tensor> RunOp(const graph::Graph& /*graph*/, const graph::Op& op, const std::vector<const Tensor*>& inputs,
                          const graph::StepBlock& step_block) {
  return FunctionOf(op.kind).run(Call{op, inputs, step_block});
}

std::vector<Tensor> RunGraph(const graph::Graph& graph, const std::map<std::string, Tensor>& values,
                             const graph::StepBlock& step_block) {
  std::vector<Tensor> all(graph.values.size());
  for (size_t id = 0; id < all.size(); ++id) {
    const graph::Value& value = graph.values[id];
    if (value.role == graph::Role::kActivation || value.role == graph::Role::kStepBlock) continue;
    const auto found = values.find(value.name);
    CHECK(found != values.end(), "no tensor given for '{}'", value.name);
    CHECK(found->second.shape == value.shape, "'{}' is {}, not {}", value.name, value.shape.ToString(),
          found->second.shape.ToString());
    all[id] = found->second;
  }
  for (const graph::Op& op : graph.ops) {
    std::vector<const Tensor*> inputs;
    for (const graph::ValueId id : op.inputs) {
      inputs.push_back(id == graph::kNoValue ? nullptr : &all[static_cast<size_t>(id)]);
    }
    std::vector<Tensor> outputs = RunOp(graph, op, inputs, step_block);
    CHECK(outputs.size() >= op.outputs.size(), "{} '{}' has {} outputs", graph::Name(op.kind), op.name, outputs.size());
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      if (op.outputs[i] == graph::kNoValue) continue;
      CHECK(outputs[i].shape == graph.value(op.outputs[i]).shape, "{} '{}': output {} is {}, not {}",
            graph::Name(op.kind), op.name, i, outputs[i].shape.ToString(), graph.value(op.outputs[i]).shape.ToString());
      all[static_cast<size_t>(op.outputs[i])] = std::move(outputs[i]);
    }
  }
  return all;
}

}  // namespace lockstep::reference

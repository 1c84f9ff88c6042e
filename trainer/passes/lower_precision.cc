#include <set>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

bool IsLoss(graph::OpKind kind) {
  using graph::OpKind;
  switch (kind) {
    case OpKind::kSoftmaxCrossEntropy:
    case OpKind::kMeanSquaredError:
    case OpKind::kCtc:
    case OpKind::kFocalLoss:
    case OpKind::kBoxLoss:
    case OpKind::kSigmoidCrossEntropy:
      return true;
    default:
      return false;
  }
}

bool IsRecurrent(graph::OpKind kind) { return kind == graph::OpKind::kLstm || kind == graph::OpKind::kGru; }

}  // namespace

graph::Graph LowerPrecision(const graph::Graph& forward) {
  graph::Graph lowered = forward;
  std::set<graph::ValueId> kept;
  for (const graph::Op& op : forward.ops) {
    if (IsLoss(op.kind)) kept.insert(op.inputs.begin(), op.inputs.end());
    if (IsRecurrent(op.kind)) kept.insert(op.inputs.begin() + 4, op.inputs.end());  // states, which stay float
  }
  for (size_t id = 0; id < lowered.values.size(); ++id) {
    graph::Value& value = lowered.values[id];
    const bool input = value.role == graph::Role::kInput && value.dtype == DType::kF32;
    if (input && !kept.contains(static_cast<graph::ValueId>(id))) value.dtype = DType::kBF16;
  }
  // Types follow from operands, as the op table says, or, where those are integers, from what is asked for.
  for (graph::Op& op : lowered.ops) {
    if (op.kind == graph::OpKind::kEmbedding) std::get<graph::EmbeddingAttributes>(op.attributes).result = DType::kBF16;
    if (op.kind == graph::OpKind::kPixels) std::get<graph::PixelsAttributes>(op.attributes).result = DType::kBF16;
    const std::vector<graph::OutputSpec> specs = graph::Row(op.kind).infer(lowered, op);
    for (size_t i = 0; i < specs.size(); ++i) {
      if (op.outputs[i] != graph::kNoValue) lowered.values[static_cast<size_t>(op.outputs[i])].dtype = specs[i].dtype;
    }
  }
  return lowered;
}

}  // namespace lockstep::passes

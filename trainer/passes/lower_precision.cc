#include <algorithm>
#include <set>
#include <utility>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {
namespace {

bool IsLoss(graph::OpKind kind) {
  using graph::OpKind;
  switch (kind) {
    case OpKind::kSoftmaxCrossEntropy:
    case OpKind::kMeanSquaredError:
    case OpKind::kMeanLoss:
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

/// What was a float stays one of its type; integers become f32, of which bf16 would hold few.
void LowerCast(const graph::Graph& graph, graph::Op& cast) {
  DType& to = std::get<graph::CastAttributes>(cast.attributes).to;
  if (to != DType::kI32 && graph.value(cast.inputs[0]).dtype == DType::kBF16) to = DType::kBF16;
}

/// Ops whose operands are of one type.
bool WantsOneType(graph::OpKind kind) { return kind == graph::OpKind::kConcat || kind == graph::OpKind::kAdd; }

/// Where some operands are bf16, casts of the others, what follows from parameters alone, stand before the op.
void CastOperands(graph::Graph& graph, graph::Op& op) {
  const auto type = [&](graph::ValueId id) { return graph.value(id).dtype; };
  if (std::ranges::count(op.inputs, DType::kBF16, type) == 0) return;
  for (graph::ValueId& id : op.inputs) {
    if (type(id) != DType::kF32) continue;
    const std::string name = fmt::format("{}/{}", op.name, graph.value(id).name);
    id = AppendOp(graph, graph::OpKind::kCast, {id}, graph::CastAttributes{DType::kBF16}, name)[0];
  }
}

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
  lowered.ops.clear();
  for (graph::Op op : forward.ops) {
    if (WantsOneType(op.kind)) CastOperands(lowered, op);
    if (op.kind == graph::OpKind::kEmbedding) std::get<graph::EmbeddingAttributes>(op.attributes).result = DType::kBF16;
    if (op.kind == graph::OpKind::kPixels) std::get<graph::PixelsAttributes>(op.attributes).result = DType::kBF16;
    if (op.kind == graph::OpKind::kCast) LowerCast(lowered, op);
    const std::vector<graph::OutputSpec> specs = graph::Row(op.kind).infer(lowered, op);
    for (size_t i = 0; i < specs.size(); ++i) {
      if (op.outputs[i] != graph::kNoValue) lowered.values[static_cast<size_t>(op.outputs[i])].dtype = specs[i].dtype;
    }
    lowered.ops.push_back(std::move(op));
  }
  return lowered;
}

}  // namespace lockstep::passes

#include <map>
#include <set>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Op;
using graph::OpKind;

/// The place of the fused activation in `op`'s attributes; nullptr where the op can't have one.
Activation* FusedActivation(Op& op) {
  switch (op.kind) {
    case OpKind::kLinear:
      return &std::get<graph::LinearAttributes>(op.attributes).activation;
    case OpKind::kConv2d:
      return &std::get<graph::Conv2dAttributes>(op.attributes).activation;
    case OpKind::kBatchNormTrain:
    case OpKind::kBatchNormInfer:
      return &std::get<graph::NormAttributes>(op.attributes).activation;
    case OpKind::kAdd:
      return &std::get<graph::ActivationAttributes>(op.attributes).activation;
    default:
      return nullptr;
  }
}

bool CanFuse(const Op& op, Activation activation, bool training) {
  const bool product = op.kind == OpKind::kLinear || op.kind == OpKind::kConv2d;
  if (!product) return activation == Activation::kRelu;
  return !training || graph::GradientFollowsFromResult(activation);
}

}  // namespace

graph::Graph FuseActivations(const graph::Graph& forward, bool training) {
  graph::Graph fused = forward;
  const std::vector<int> readers = CountReaders(forward);
  std::map<graph::ValueId, size_t> producer;  // of first outputs, in fused.ops
  fused.ops.clear();
  for (const Op& op : forward.ops) {
    if (op.kind == OpKind::kActivation && readers[static_cast<size_t>(op.inputs[0])] == 1) {
      const auto before = producer.find(op.inputs[0]);
      const Activation activation = op.as<graph::ActivationAttributes>().activation;
      Op* target = before == producer.end() ? nullptr : &fused.ops[before->second];
      Activation* place = target == nullptr ? nullptr : FusedActivation(*target);
      if (place != nullptr && *place == Activation::kNone && CanFuse(*target, activation, training)) {
        *place = activation;
        target->outputs[0] = op.outputs[0];
        producer[op.outputs[0]] = before->second;
        continue;
      }
    }
    if (!op.outputs.empty() && op.outputs[0] != graph::kNoValue) producer[op.outputs[0]] = fused.ops.size();
    fused.ops.push_back(op);
  }
  return fused;
}

}  // namespace lockstep::passes

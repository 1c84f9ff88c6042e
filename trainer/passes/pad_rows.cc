#include <algorithm>
#include <vector>

#include "base/error.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Op;
using graph::OpKind;
using graph::ValueId;

// Below, the padding would be a good part of a row.
constexpr int64_t kLeastColumns = 256;

/// Ops that read their first input by rows that may be apart.
bool ReadsRows(const Op& op) {
  switch (op.kind) {
    case OpKind::kSoftmaxCrossEntropy:
    case OpKind::kSoftmaxCrossEntropyGrad:
    case OpKind::kSoftmaxCrossEntropyTrain:
    case OpKind::kLinearInputGrad:
      return true;
    case OpKind::kLinearWeightGrad:
      return op.outputs[1] == kNoValue;  // the bias's gradient is summed by a kernel that reads all as one row
    default:
      return false;
  }
}

/// Ops whose first output is the gradient of logits, their first input.
bool WritesLogitsGradient(const Op& op) {
  return op.kind == OpKind::kSoftmaxCrossEntropyGrad || op.kind == OpKind::kSoftmaxCrossEntropyTrain;
}

/// And that write their first output so.
bool WritesRows(const Op& op) {
  if (WritesLogitsGradient(op)) return true;
  return op.kind == OpKind::kLinear && op.inputs[2] == kNoValue &&
         op.as<graph::LinearAttributes>().activation == graph::Activation::kNone;
}

/// Images in bf16, whose channels may have zeros behind them, for tensor cores: those that kPixels writes.
bool WritesImages(const Graph& graph, const Op& op) {
  return op.kind == OpKind::kPixels && graph.value(op.outputs[0]).dtype == DType::kBF16;
}

/// Ops that read operand `input` as images whose channels may have zeros behind them.
bool ReadsImages(const Op& op, size_t input) {
  const bool reads = op.kind == OpKind::kConv2d ? input == 0 : op.kind == OpKind::kConv2dWeightGrad && input == 1;
  return reads && op.as<graph::Conv2dAttributes>().groups == 1;
}

}  // namespace

graph::Graph PadRows(const graph::Graph& graph, int64_t bytes) {
  CHECK(bytes > 0);
  std::vector<bool> may(graph.values.size(), false), images(graph.values.size(), false);
  for (const Op& op : graph.ops) {
    const bool image = WritesImages(graph, op);
    if (image) images[static_cast<size_t>(op.outputs[0])] = true;
    if (image || WritesRows(op)) may[static_cast<size_t>(op.outputs[0])] = true;
  }
  for (const Op& op : graph.ops)
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      if (op.inputs[i] == kNoValue) continue;
      const auto id = static_cast<size_t>(op.inputs[i]);
      if (!(images[id] ? ReadsImages(op, i) : i == 0 && ReadsRows(op))) may[id] = false;
    }
  for (const ValueId id : Results(graph)) may[static_cast<size_t>(id)] = false;
  // The gradient may be written over the logits.
  for (const Op& op : graph.ops)
    if (WritesLogitsGradient(op)) {
      const auto logits = static_cast<size_t>(op.inputs[0]), gradient = static_cast<size_t>(op.outputs[0]);
      may[logits] = may[gradient] = may[logits] && may[gradient];
    }

  graph::Graph padded = graph;
  for (size_t id = 0; id < padded.values.size(); ++id) {
    graph::Value& value = padded.values[id];
    if (!may[id] || (!images[id] && value.shape.dim(-1) < kLeastColumns)) continue;
    const int64_t elements = bytes / SizeOf(value.dtype), columns = value.shape.dim(-1);
    if (columns % elements != 0) value.pitch = (columns + elements - 1) / elements * elements;
  }
  return padded;
}

}  // namespace lockstep::passes

// Losses of object detection: sums over the cells of maps, in double precision.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// Checks values [n, .., last] that a loss is of, operand 0.
const Value& RequireMap(const Graph& graph, const Op& op, const char* name) {
  const Value& map = InputOf(graph, op, 0);
  RequireFloat(op, map, name);
  if (map.shape.rank() < 2) {
    Reject(op, fmt::format("{} have shape {}, but at least 2 dimensions are needed", name, map.shape.ToString()));
  }
  return map;
}

/// Checks an operand that is float whatever the activations are.
void RequireSingle(const Graph& graph, const Op& op, int input, const char* name, const Shape& shape) {
  RequireDType(op, InputOf(graph, op, input), name, DType::kF32);
  RequireShape(op, InputOf(graph, op, input), name, shape);
}

const Value& RequireFocalOperands(const Graph& graph, const Op& op) {
  const Value& logits = RequireMap(graph, op, "logits");
  if (InputOf(graph, op, 1).dtype == DType::kI32) {
    RequireShape(op, InputOf(graph, op, 1), "label", WithoutLast(logits.shape));
  } else {
    RequireSingle(graph, op, 1, "target", logits.shape);
  }
  RequireSingle(graph, op, 2, "mask", {logits.shape.dim(0)});
  const auto& attributes = AttributesOf<FocalAttributes>(op);
  RequireLossIndex(op, attributes.loss);
  if (!(attributes.clamp >= 0 && attributes.clamp < 0.5f)) {
    Reject(op, fmt::format("probabilities can't be clamped at {}", attributes.clamp),
           "clamp is at least 0 and less than 0.5");
  }
  return logits;
}

std::vector<OutputSpec> InferFocalLoss(const Graph& graph, const Op& op) {
  RequireFocalOperands(graph, op);
  return {{Shape{}, DType::kF64}};
}

std::vector<OutputSpec> InferFocalLossGrad(const Graph& graph, const Op& op) {
  const Value& logits = RequireFocalOperands(graph, op);
  RequireStepBlock(graph, op, 3);
  return {{logits.shape, logits.dtype}};
}

const Value& RequireBoxOperands(const Graph& graph, const Op& op) {
  const Value& sides = RequireMap(graph, op, "sides");
  if (sides.shape.dim(-1) != 4) {
    Reject(op, fmt::format("sides have shape {}, but boxes have 4 sides", sides.shape.ToString()));
  }
  RequireSingle(graph, op, 1, "target", sides.shape);
  RequireSingle(graph, op, 2, "weight", WithoutLast(sides.shape));
  RequireLossIndex(op, AttributesOf<BoxLossAttributes>(op).loss);
  return sides;
}

std::vector<OutputSpec> InferBoxLoss(const Graph& graph, const Op& op) {
  RequireBoxOperands(graph, op);
  return {{Shape{}, DType::kF64}};
}

std::vector<OutputSpec> InferBoxLossGrad(const Graph& graph, const Op& op) {
  const Value& sides = RequireBoxOperands(graph, op);
  RequireStepBlock(graph, op, 3);
  return {{sides.shape, sides.dtype}};
}

/// That of operand 0, from the loss's three operands and the step block.
template <OpKind kGrad>
void LossGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(0, context.Emit(kGrad, {op.inputs[0], op.inputs[1], op.inputs[2], context.StepBlockValue()},
                                     op.attributes, "/grad")[0]);
}

const Value& RequireCrossEntropyOperands(const Graph& graph, const Op& op) {
  const Value& logits = InputOf(graph, op, 0);
  RequireFloat(op, logits, "logits");
  if (logits.shape.rank() < 1) Reject(op, "logits are a single number, but rows are needed");
  RequireSingle(graph, op, 1, "target", logits.shape);
  RequireSingle(graph, op, 2, "weight", logits.shape);
  RequireLossIndex(op, AttributesOf<LossAttributes>(op).loss);
  return logits;
}

std::vector<OutputSpec> InferSigmoidCrossEntropy(const Graph& graph, const Op& op) {
  RequireCrossEntropyOperands(graph, op);
  return {{Shape{}, DType::kF64}};
}

std::vector<OutputSpec> InferSigmoidCrossEntropyGrad(const Graph& graph, const Op& op) {
  const Value& logits = RequireCrossEntropyOperands(graph, op);
  RequireStepBlock(graph, op, 3);
  return {{logits.shape, logits.dtype}};
}

constexpr OpRow kRows[] = {
    {OpKind::kFocalLoss, "focal_loss", "logits, target, mask", "sum",
     "sum = the sum of -mask positive (1 - p)^2 log(p) where target is 1, else -mask negative (1 - target)^4 p^2 log(1 "
     "- p), with p = sigmoid(logits)",
     InferFocalLoss, LossGradient<OpKind::kFocalLossGrad>, -1, FlopsPerInputElement},
    {OpKind::kBoxLoss, "box_loss", "sides, target, weight", "sum",
     "sum = the sum over cells of factor weight (1 - GIoU of the boxes with these sides)", InferBoxLoss,
     LossGradient<OpKind::kBoxLossGrad>, -1, FlopsPerInputElement},
    {OpKind::kSigmoidCrossEntropy, "sigmoid_cross_entropy", "logits, target, weight", "sum",
     "sum = the sum of -weight (target log(p) + (1 - target) log(1 - p)), with p = sigmoid(logits)",
     InferSigmoidCrossEntropy, LossGradient<OpKind::kSigmoidCrossEntropyGrad>, -1, FlopsPerInputElement},
    {OpKind::kSigmoidCrossEntropyGrad, "sigmoid_cross_entropy_grad", "logits, target, weight, step_block", "dlogits",
     "dlogits = (sigmoid(logits) - target) weight loss_scale", InferSigmoidCrossEntropyGrad, nullptr, 0,
     FlopsPerElement},
    {OpKind::kFocalLossGrad, "focal_loss_grad", "logits, target, mask, step_block", "dlogits",
     "dlogits = the gradient of focal_loss times loss_scale", InferFocalLossGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kBoxLossGrad, "box_loss_grad", "sides, target, weight, step_block", "dsides",
     "dsides = the gradient of box_loss times loss_scale", InferBoxLossGrad, nullptr, -1, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> DetectionRows() { return kRows; }

}  // namespace lockstep::graph

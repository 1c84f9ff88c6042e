// Losses, which are sums over the lane's rows in double precision, counters, and arg max.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// Checks weights [..], and the other labels, from input `first` on.
void RequireWeights(const Graph& graph, const Op& op, int first, const Shape& rows) {
  const bool weighted = HasInput(op, first), mixed = HasInput(op, first + 1);
  CHECK(mixed == HasInput(op, first + 2) && (weighted || !mixed), "{}: other labels come with weights", op.name);
  const auto check = [&](int input, const char* name, DType type) {
    RequireDType(op, InputOf(graph, op, input), name, type);
    RequireShape(op, InputOf(graph, op, input), name, rows);
  };
  if (weighted) check(first, "weight", DType::kF32);
  if (!mixed) return;
  check(first + 1, "other_label", DType::kI32);
  check(first + 2, "other_weight", DType::kF32);
}

/// Checks logits [.., c] and labels [..].
const Value& RequireLogits(const Graph& graph, const Op& op) {
  const Value& logits = InputOf(graph, op, 0);
  const Value& label = InputOf(graph, op, 1);
  RequireFloat(op, logits, "logits");
  if (logits.shape.rank() < 2)
    Reject(op, fmt::format("logits have shape {}, but at least 2 dimensions are needed", logits.shape.ToString()));
  RequireDType(op, label, "label", DType::kI32);
  RequireShape(op, label, "label", WithoutLast(logits.shape));
  return logits;
}

std::vector<OutputSpec> InferSoftmaxCrossEntropy(const Graph& graph, const Op& op) {
  const Value& logits = RequireLogits(graph, op);
  RequireWeights(graph, op, 2, WithoutLast(logits.shape));
  RequireLossIndex(op, AttributesOf<LossAttributes>(op).loss);
  const float smoothing = AttributesOf<LossAttributes>(op).label_smoothing;
  if (!(smoothing >= 0 && smoothing < 1)) {
    Reject(op, fmt::format("label smoothing {} is out of range", smoothing), "it must be at least 0 and less than 1");
  }
  return {{Shape{}, DType::kF64}, {WithoutLast(logits.shape), DType::kF32}, {Shape{}, DType::kI64}};
}

std::vector<OutputSpec> InferSoftmaxCrossEntropyGrad(const Graph& graph, const Op& op) {
  const Value& logits = RequireLogits(graph, op);
  RequireLossIndex(op, AttributesOf<LossAttributes>(op).loss);
  RequireShape(op, InputOf(graph, op, 2), "lse", WithoutLast(logits.shape));
  RequireStepBlock(graph, op, 3);
  RequireWeights(graph, op, 4, WithoutLast(logits.shape));
  return {{logits.shape, logits.dtype}};
}

std::vector<OutputSpec> InferSoftmaxCrossEntropyTrain(const Graph& graph, const Op& op) {
  const Value& logits = RequireLogits(graph, op);
  RequireLossIndex(op, AttributesOf<LossAttributes>(op).loss);
  RequireStepBlock(graph, op, 2);
  RequireWeights(graph, op, 3, WithoutLast(logits.shape));
  return {{logits.shape, logits.dtype}, {Shape{}, DType::kF64}, {Shape{}, DType::kI64}};
}

void SoftmaxCrossEntropyGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(0, context.Emit(OpKind::kSoftmaxCrossEntropyGrad,
                                     {op.inputs[0], op.inputs[1], op.outputs[1], context.StepBlockValue(), op.inputs[2],
                                      op.inputs[3], op.inputs[4]},
                                     op.attributes, "/grad")[0]);
}

const Value& RequirePrediction(const Graph& graph, const Op& op) {
  const Value& prediction = InputOf(graph, op, 0);
  RequireLossIndex(op, AttributesOf<LossAttributes>(op).loss);
  RequireFloat(op, prediction, "prediction");
  RequireRank(op, prediction, "prediction", 2);
  RequireFloat(op, InputOf(graph, op, 1), "target");
  RequireShape(op, InputOf(graph, op, 1), "target", prediction.shape);
  RequireFloat(op, InputOf(graph, op, 2), "mask");
  RequireShape(op, InputOf(graph, op, 2), "mask", {prediction.shape.dim(0)});
  return prediction;
}

std::vector<OutputSpec> InferMeanSquaredError(const Graph& graph, const Op& op) {
  RequirePrediction(graph, op);
  return {{Shape{}, DType::kF64}};
}

std::vector<OutputSpec> InferMeanSquaredErrorGrad(const Graph& graph, const Op& op) {
  const Value& prediction = RequirePrediction(graph, op);
  RequireStepBlock(graph, op, 3);
  return {{prediction.shape, prediction.dtype}};
}

void MeanSquaredErrorGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(
      0, context.Emit(OpKind::kMeanSquaredErrorGrad,
                      {op.inputs[0], op.inputs[1], op.inputs[2], context.StepBlockValue()}, op.attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferMeanLoss(const Graph& graph, const Op& op) {
  const Value& values = InputOf(graph, op, 0);
  RequireLossIndex(op, AttributesOf<MeanLossAttributes>(op).loss);
  RequireFloat(op, values, "values");
  if (values.shape.rank() < 1) Reject(op, "a single number has no rows, whose mean is wanted");
  RequireDType(op, InputOf(graph, op, 1), "mask", DType::kF32);
  RequireShape(op, InputOf(graph, op, 1), "mask", {values.shape.dim(0)});
  return {{Shape{}, DType::kF64}};
}

std::vector<OutputSpec> InferMeanLossGrad(const Graph& graph, const Op& op) {
  const auto& attributes = AttributesOf<MeanLossAttributes>(op);
  RequireLossIndex(op, attributes.loss);
  RequireDType(op, InputOf(graph, op, 0), "mask", DType::kF32);
  RequireShape(op, InputOf(graph, op, 0), "mask", {attributes.result.dim(0)});
  RequireStepBlock(graph, op, 1);
  return {{attributes.result, attributes.dtype}};
}

void MeanLossGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  auto attributes = AttributesOf<MeanLossAttributes>(op);
  attributes.result = InputShape(context, 0);
  attributes.dtype = context.graph().value(op.inputs[0]).dtype;
  context.Accumulate(
      0, context.Emit(OpKind::kMeanLossGrad, {op.inputs[1], context.StepBlockValue()}, attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferArgMax(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 1) Reject(op, fmt::format("x has shape {}, but rows are needed", x.shape.ToString()));
  return {{WithoutLast(x.shape), DType::kI32}};
}

double LossAndGradientFlops(const Graph& graph, const Op& op) { return 2 * FlopsPerInputElement(graph, op); }

constexpr OpRow kRows[] = {
    {OpKind::kSoftmaxCrossEntropy, "softmax_cross_entropy", "logits, label, weight?, other_label?, other_weight?",
     "sum, lse, correct",
     "sum = the sum over rows of -weight target log(softmax(logits)), correct = rows whose first largest logit is the "
     "label's",
     InferSoftmaxCrossEntropy, SoftmaxCrossEntropyGradient, -1, FlopsPerInputElement},
    {OpKind::kMeanSquaredError, "mean_squared_error", "prediction, target, mask", "sum",
     "sum = the sum over rows of mask mean((prediction - target)^2)", InferMeanSquaredError, MeanSquaredErrorGradient,
     -1, FlopsPerInputElement},
    {OpKind::kMeanLoss, "mean_loss", "values, mask", "sum", "sum = the sum over rows of mask mean(values)",
     InferMeanLoss, MeanLossGradient, -1, FlopsPerInputElement},
    {OpKind::kMeanLossGrad, "mean_loss_grad", "mask, step_block", "dvalues",
     "dvalues = loss_scale mask / elements of a row", InferMeanLossGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kArgMax, "arg_max", "x", "y", "y = the index of the first largest of x", InferArgMax, nullptr, -1,
     FlopsPerInputElement},
    {OpKind::kSoftmaxCrossEntropyGrad, "softmax_cross_entropy_grad",
     "logits, label, lse, step_block, weight?, other_label?, other_weight?", "dlogits",
     "dlogits = (softmax(logits) - target) weight loss_scale", InferSoftmaxCrossEntropyGrad, nullptr, 0,
     FlopsPerElement},
    {OpKind::kSoftmaxCrossEntropyTrain, "softmax_cross_entropy_train",
     "logits, label, step_block, weight?, other_label?, other_weight?", "dlogits, sum, correct",
     "softmax_cross_entropy and its gradient", InferSoftmaxCrossEntropyTrain, nullptr, 0, LossAndGradientFlops},
    {OpKind::kMeanSquaredErrorGrad, "mean_squared_error_grad", "prediction, target, mask, step_block", "dprediction",
     "dprediction = 2 / k (prediction - target) mask loss_scale", InferMeanSquaredErrorGrad, nullptr, -1,
     FlopsPerElement},
};

}  // namespace

std::span<const OpRow> LossRows() { return kRows; }

}  // namespace lockstep::graph

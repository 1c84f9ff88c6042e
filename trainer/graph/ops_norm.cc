// Batch norm (over all but the last dimension), layer norm and RMS norm (over the last dimension), group norm (over
// height, width and some channels).
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// Checks x and its vectors of channels, inputs 1 to `vectors`, and returns the number of channels.
int64_t RequireChannels(const Graph& graph, const Op& op, const Value& x, int first,
                        std::initializer_list<const char*> names) {
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 2)
    Reject(op, fmt::format("x has shape {}, but at least 2 dimensions are needed", x.shape.ToString()));
  const int64_t channels = x.shape.dim(-1);
  for (const char* name : names) RequireShape(op, InputOf(graph, op, first++), name, {channels});
  return channels;
}

void RequireReluOrNone(const Op& op) {
  const Activation activation = AttributesOf<NormAttributes>(op).activation;
  CHECK(activation == Activation::kNone || activation == Activation::kRelu, "{} can't have {} fused", op.name,
        Name(activation));
}

std::vector<OutputSpec> InferBatchNormTrain(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const int64_t channels = RequireChannels(graph, op, x, 1, {"weight", "bias"});
  RequireReluOrNone(op);
  if (x.shape.size() / channels < 2) {
    Reject(op, fmt::format("x {} has one value a channel, whose variance is unknown", x.shape.ToString()),
           "give each lane at least 2 samples: a larger global_batch or fewer lanes");
  }
  const OutputSpec vector{{channels}, DType::kF32};
  return {{x.shape, x.dtype}, vector, vector, vector};
}

std::vector<OutputSpec> InferBatchNormInfer(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireChannels(graph, op, x, 1, {"weight", "bias", "running_mean", "running_var"});
  RequireReluOrNone(op);
  return {{x.shape, x.dtype}};
}

/// Checks y and bias, operands `first` and behind it: where a fused activation let something through follows from one.
void RequireOneMask(const Graph& graph, const Op& op, const Value& x, int first) {
  const bool fused = AttributesOf<NormAttributes>(op).activation != Activation::kNone;
  CHECK(HasInput(op, first) + HasInput(op, first + 1) == (fused ? 1 : 0),
        "{}: y or the bias is needed where an activation is fused, and only there", op.name);
  if (HasInput(op, first)) RequireShape(op, InputOf(graph, op, first), "y", x.shape);
  if (HasInput(op, first + 1)) RequireShape(op, InputOf(graph, op, first + 1), "bias", {x.shape.dim(-1)});
}

std::vector<OutputSpec> InferBatchNormGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const int64_t channels = RequireChannels(graph, op, x, 2, {"weight", "mean", "inv_std"});
  RequireReluOrNone(op);
  RequireShape(op, dy, "dy", x.shape);
  RequireOneMask(graph, op, x, 5);
  const OutputSpec vector{{channels}, DType::kF32};
  return {{x.shape, dy.dtype}, vector, vector};
}

void AccumulateNorm(GradientContext& context, const std::vector<ValueId>& gradients) {
  // Parameters first, in arena order (bias was created last): x's gradient sets off the layers before.
  for (int input = static_cast<int>(gradients.size()) - 1; input >= 0; --input) {
    if (context.Wanted(input)) context.Accumulate(input, gradients[static_cast<size_t>(input)]);
  }
}

void BatchNormGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const auto& attributes = AttributesOf<NormAttributes>(op);
  const ValueId y = attributes.activation == Activation::kNone ? kNoValue : op.outputs[0];
  AccumulateNorm(context,
                 context.Emit(OpKind::kBatchNormGrad,
                              {context.OutputGradient(0), op.inputs[0], op.inputs[1], op.outputs[1], op.outputs[3], y},
                              attributes, "/grad"));
}

std::vector<OutputSpec> InferLayerNorm(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const int64_t channels = RequireChannels(graph, op, x, 1, {"weight"});
  if (HasInput(op, 2)) RequireShape(op, InputOf(graph, op, 2), "bias", {channels});
  CHECK(AttributesOf<NormAttributes>(op).activation == Activation::kNone, "{} can't have an activation fused", op.name);
  const OutputSpec rows{WithoutLast(x.shape), DType::kF32};
  return {{x.shape, x.dtype}, rows, rows};
}

std::vector<OutputSpec> InferLayerNormGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const int64_t channels = RequireChannels(graph, op, x, 2, {"weight"});
  AttributesOf<NormAttributes>(op);
  RequireShape(op, dy, "dy", x.shape);
  const Shape rows = WithoutLast(x.shape);
  RequireShape(op, InputOf(graph, op, 3), "mean", rows);
  RequireShape(op, InputOf(graph, op, 4), "inv_std", rows);
  const OutputSpec vector{{channels}, DType::kF32};
  return {{x.shape, dy.dtype}, vector, vector};
}

void LayerNormGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(op.outputs[1] != kNoValue && op.outputs[2] != kNoValue, "{} has no mean or inv_std", op.name);
  AccumulateNorm(context,
                 context.Emit(OpKind::kLayerNormGrad,
                              {context.OutputGradient(0), op.inputs[0], op.inputs[1], op.outputs[1], op.outputs[2]},
                              AttributesOf<NormAttributes>(op), "/grad"));
}

std::vector<OutputSpec> InferRmsNorm(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireChannels(graph, op, x, 1, {"weight"});
  CHECK(AttributesOf<NormAttributes>(op).activation == Activation::kNone, "{} can't have an activation fused", op.name);
  return {{x.shape, x.dtype}, {WithoutLast(x.shape), DType::kF32}};
}

std::vector<OutputSpec> InferRmsNormGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const int64_t channels = RequireChannels(graph, op, x, 2, {"weight"});
  AttributesOf<NormAttributes>(op);
  RequireShape(op, dy, "dy", x.shape);
  RequireShape(op, InputOf(graph, op, 3), "inv_rms", WithoutLast(x.shape));
  return {{x.shape, dy.dtype}, {{channels}, DType::kF32}};
}

void RmsNormGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(op.outputs[1] != kNoValue, "{} has no inv_rms", op.name);
  AccumulateNorm(context, context.Emit(OpKind::kRmsNormGrad,
                                       {context.OutputGradient(0), op.inputs[0], op.inputs[1], op.outputs[1]},
                                       AttributesOf<NormAttributes>(op), "/grad"));
}

/// Checks x, an image, and its weight, operand `x_at` + 1, and returns the shape of the groups' statistics.
Shape RequireGroups(const Graph& graph, const Op& op, int x_at) {
  const Value& x = InputOf(graph, op, x_at);
  RequireRank(op, x, "x", 4);
  const int64_t channels = RequireChannels(graph, op, x, x_at + 1, {"weight"});
  const int groups = AttributesOf<GroupNormAttributes>(op).groups;
  if (groups < 1 || channels % groups != 0) {
    Reject(op, fmt::format("{} channels can't be cut into {} groups", channels, groups),
           "channels must be a multiple of groups");
  }
  return {x.shape.dim(0), groups};
}

std::vector<OutputSpec> InferGroupNorm(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const OutputSpec statistics{RequireGroups(graph, op, 0), DType::kF32};
  RequireShape(op, InputOf(graph, op, 2), "bias", {x.shape.dim(3)});
  return {{x.shape, x.dtype}, statistics, statistics};
}

std::vector<OutputSpec> InferGroupNormGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const Shape groups = RequireGroups(graph, op, 1);
  RequireShape(op, dy, "dy", x.shape);
  RequireShape(op, InputOf(graph, op, 3), "mean", groups);
  RequireShape(op, InputOf(graph, op, 4), "inv_std", groups);
  const OutputSpec vector{{x.shape.dim(3)}, DType::kF32};
  return {{x.shape, dy.dtype}, vector, vector};
}

void GroupNormGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(op.outputs[1] != kNoValue && op.outputs[2] != kNoValue, "{} has no mean or inv_std", op.name);
  AccumulateNorm(context,
                 context.Emit(OpKind::kGroupNormGrad,
                              {context.OutputGradient(0), op.inputs[0], op.inputs[1], op.outputs[1], op.outputs[2]},
                              op.attributes, "/grad"));
}

std::vector<OutputSpec> InferBatchNormInferGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  RequireChannels(graph, op, dy, 1, {"weight", "running_var"});
  CHECK(AttributesOf<NormAttributes>(op).activation == Activation::kNone, "{} can't have an activation fused", op.name);
  return {{dy.shape, dy.dtype}};
}

void BatchNormInferGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  if (context.Wanted(1) || context.Wanted(2)) {
    Reject(op, "batch norm by its running statistics has no gradients of its weight and bias",
           "freeze them too, or train with the statistics of the batch");
  }
  NormAttributes attributes = AttributesOf<NormAttributes>(op);
  const ValueId dy = GradientBeforeActivation(context, attributes.activation);
  attributes.activation = Activation::kNone;
  context.Accumulate(
      0, context.Emit(OpKind::kBatchNormInferGrad, {dy, op.inputs[1], op.inputs[4]}, attributes, "/grad")[0]);
}

/// Checks a and b, inputs 0 and 1, and the vectors of channels behind them.
const Value& RequireSummands(const Graph& graph, const Op& op, std::initializer_list<const char*> vectors) {
  const Value& a = InputOf(graph, op, 0);
  RequireChannels(graph, op, a, 2, vectors);
  RequireShape(op, InputOf(graph, op, 1), "b", a.shape);
  RequireDType(op, InputOf(graph, op, 1), "b", a.dtype);
  CHECK(AttributesOf<NormAttributes>(op).activation == Activation::kNone, "{} can't have an activation fused", op.name);
  return a;
}

std::vector<OutputSpec> InferAddLayerNorm(const Graph& graph, const Op& op) {
  const Value& a = RequireSummands(graph, op, {"weight"});
  if (HasInput(op, 3)) RequireShape(op, InputOf(graph, op, 3), "bias", {a.shape.dim(-1)});
  const OutputSpec rows{WithoutLast(a.shape), DType::kF32};
  return {{a.shape, a.dtype}, {a.shape, a.dtype}, rows, rows};
}

std::vector<OutputSpec> InferAddRmsNorm(const Graph& graph, const Op& op) {
  const Value& a = RequireSummands(graph, op, {"weight"});
  return {{a.shape, a.dtype}, {a.shape, a.dtype}, {WithoutLast(a.shape), DType::kF32}};
}

/// Checks dsum, dy, x and weight, inputs 0 to 3, and the statistics of rows behind them.
const Value& RequireSumGradient(const Graph& graph, const Op& op, std::initializer_list<const char*> statistics) {
  const Value& dsum = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 2);
  RequireChannels(graph, op, x, 3, {"weight"});
  AttributesOf<NormAttributes>(op);
  RequireShape(op, InputOf(graph, op, 1), "dy", x.shape);
  RequireShape(op, dsum, "dsum", x.shape);
  RequireDType(op, dsum, "dsum", InputOf(graph, op, 1).dtype);
  int input = 4;
  for (const char* name : statistics) RequireShape(op, InputOf(graph, op, input++), name, WithoutLast(x.shape));
  return dsum;
}

std::vector<OutputSpec> InferAddLayerNormGrad(const Graph& graph, const Op& op) {
  const Value& dsum = RequireSumGradient(graph, op, {"mean", "inv_std"});
  const OutputSpec vector{{dsum.shape.dim(-1)}, DType::kF32};
  return {{dsum.shape, dsum.dtype}, vector, vector};
}

std::vector<OutputSpec> InferAddRmsNormGrad(const Graph& graph, const Op& op) {
  const Value& dsum = RequireSumGradient(graph, op, {"inv_rms"});
  return {{dsum.shape, dsum.dtype}, {{dsum.shape.dim(-1)}, DType::kF32}};
}

std::vector<OutputSpec> InferBatchNormAddTrain(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const Value& addend = InputOf(graph, op, 1);
  RequireChannels(graph, op, x, 2, {"weight", "bias"});
  RequireReluOrNone(op);
  RequireShape(op, addend, "addend", x.shape);
  RequireDType(op, addend, "addend", x.dtype);
  const OutputSpec vector{{x.shape.dim(-1)}, DType::kF32};
  return {{x.shape, x.dtype}, vector, vector, vector};
}

std::vector<OutputSpec> InferBatchNormAddGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 2);
  const int64_t channels = RequireChannels(graph, op, x, 3, {"weight", "mean", "inv_std"});
  RequireReluOrNone(op);
  RequireShape(op, dy, "dy", x.shape);
  if (HasInput(op, 1)) {
    RequireShape(op, InputOf(graph, op, 1), "other_dy", x.shape);
    RequireDType(op, InputOf(graph, op, 1), "other_dy", dy.dtype);
  }
  RequireOneMask(graph, op, x, 6);
  const OutputSpec vector{{channels}, DType::kF32};
  return {{x.shape, dy.dtype}, vector, vector, {x.shape, dy.dtype}};
}

constexpr OpRow kRows[] = {
    {OpKind::kBatchNormTrain, "batch_norm_train", "x, weight, bias", "y, mean, variance, inv_std",
     "y = act((x - mean) inv_std weight + bias)", InferBatchNormTrain, BatchNormGradient, -1, FlopsPerElement},
    {OpKind::kBatchNormInfer, "batch_norm_infer", "x, weight, bias, running_mean, running_var", "y",
     "y = act((x - running_mean) / sqrt(running_var + epsilon) weight + bias)", InferBatchNormInfer,
     BatchNormInferGradient, 0, FlopsPerElement},
    {OpKind::kGroupNorm, "group_norm", "x, weight, bias", "y, mean?, inv_std?", "y = (x - mean) inv_std weight + bias",
     InferGroupNorm, GroupNormGradient, -1, FlopsPerElement},
    {OpKind::kBatchNormInferGrad, "batch_norm_infer_grad", "dy, weight, running_var", "dx",
     "dx = dy weight / sqrt(running_var + epsilon)", InferBatchNormInferGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kGroupNormGrad, "group_norm_grad", "dy, x, weight, mean, inv_std", "dx, dweight, dbias",
     "the gradients of group_norm", InferGroupNormGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kLayerNorm, "layer_norm", "x, weight, bias?", "y, mean?, inv_std?", "y = (x - mean) inv_std weight + bias",
     InferLayerNorm, LayerNormGradient, -1, FlopsPerElement},
    {OpKind::kRmsNorm, "rms_norm", "x, weight", "y, inv_rms?", "y = x inv_rms weight", InferRmsNorm, RmsNormGradient,
     -1, FlopsPerElement},
    {OpKind::kRmsNormGrad, "rms_norm_grad", "dy, x, weight, inv_rms", "dx, dweight", "the gradients of rms_norm",
     InferRmsNormGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kBatchNormGrad, "batch_norm_grad", "dy, x, weight, mean, inv_std, y?, bias?", "dx, dweight, dbias",
     "the gradients of batch_norm_train", InferBatchNormGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kLayerNormGrad, "layer_norm_grad", "dy, x, weight, mean, inv_std", "dx, dweight, dbias?",
     "the gradients of layer_norm", InferLayerNormGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kAddLayerNorm, "add_layer_norm", "a, b, weight, bias?", "sum, y, mean?, inv_std?",
     "sum = a + b, y = (sum - mean) inv_std weight + bias", InferAddLayerNorm, nullptr, 0, FlopsPerElement},
    {OpKind::kAddRmsNorm, "add_rms_norm", "a, b, weight", "sum, y, inv_rms?", "sum = a + b, y = sum inv_rms weight",
     InferAddRmsNorm, nullptr, 0, FlopsPerElement},
    {OpKind::kAddLayerNormGrad, "add_layer_norm_grad", "dsum, dy, x, weight, mean, inv_std", "dx, dweight, dbias?",
     "the gradients of layer_norm, dsum added to dx", InferAddLayerNormGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kAddRmsNormGrad, "add_rms_norm_grad", "dsum, dy, x, weight, inv_rms", "dx, dweight",
     "the gradients of rms_norm, dsum added to dx", InferAddRmsNormGrad, nullptr, 0, FlopsPerElement},
    {OpKind::kBatchNormAddTrain, "batch_norm_add_train", "x, addend, weight, bias", "y, mean, variance, inv_std",
     "y = act((x - mean) inv_std weight + bias + addend)", InferBatchNormAddTrain, nullptr, 1, FlopsPerElement},
    {OpKind::kBatchNormAddGrad, "batch_norm_add_grad", "dy, other_dy?, x, weight, mean, inv_std, y?, bias?",
     "dx, dweight, dbias, g", "g = dy + other_dy where y > 0, and the gradients of batch_norm_train by it",
     InferBatchNormAddGrad, nullptr, 0, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> NormRows() { return kRows; }

}  // namespace lockstep::graph

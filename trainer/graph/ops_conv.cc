// Convolutions of images [n, h, w, c] with weights [o, c / groups, kh, kw].
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// y's shape from x's and weight's.
Shape ConvolvedShape(const Op& op, const Shape& x, const Shape& weight) {
  const auto& attributes = AttributesOf<Conv2dAttributes>(op);
  const int groups = attributes.groups;
  if (groups < 1 || x.dim(3) % groups != 0 || weight.dim(0) % groups != 0) {
    Reject(op,
           fmt::format("x {} and weight {} can't be cut into {} groups of channels", x.ToString(), weight.ToString(),
                       groups),
           "input and output channels must be multiples of groups");
  }
  if (weight.dim(1) != x.dim(3) / groups) {
    Reject(op, fmt::format("weight {} takes {} channels a group, but x {} has {}", weight.ToString(), weight.dim(1),
                           x.ToString(), x.dim(3) / groups));
  }
  const Pair stride = attributes.stride, padding = attributes.padding, dilation = attributes.dilation;
  return {x.dim(0), RequireWindow(op, x, x.dim(1), weight.dim(2), stride.height, padding.height, dilation.height),
          RequireWindow(op, x, x.dim(2), weight.dim(3), stride.width, padding.width, dilation.width), weight.dim(0)};
}

std::vector<OutputSpec> InferConv2d(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const Value& weight = InputOf(graph, op, 1);
  RequireFloat(op, x, "x");
  RequireFloat(op, weight, "weight");
  RequireRank(op, x, "x", 4);
  RequireRank(op, weight, "weight", 4);
  const Shape y = ConvolvedShape(op, x.shape, weight.shape);
  if (HasInput(op, 2)) RequireShape(op, InputOf(graph, op, 2), "bias", {weight.shape.dim(0)});
  return {{y, x.dtype}};
}

void Conv2dGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  Conv2dAttributes attributes = AttributesOf<Conv2dAttributes>(op);
  const Shape x = InputShape(context, 0), weight = InputShape(context, 1);
  const ValueId dy = GradientBeforeActivation(context, attributes.activation);
  attributes.activation = Activation::kNone;
  const bool bias = HasInput(op, 2) && context.Wanted(2);
  if (context.Wanted(1) || bias) {
    attributes.result = weight;
    const auto out = context.Emit(OpKind::kConv2dWeightGrad, {dy, op.inputs[0]}, attributes, "/weight_grad");
    if (context.Wanted(1)) context.Accumulate(1, out[0]);
    if (bias) context.Accumulate(2, out[1]);
  }
  if (context.Wanted(0)) {
    attributes.result = x;
    context.Accumulate(0, context.Emit(OpKind::kConv2dInputGrad, {dy, op.inputs[1]}, attributes, "/input_grad")[0]);
  }
}

std::vector<OutputSpec> InferConv2dInputGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& weight = InputOf(graph, op, 1);
  const Shape& x = AttributesOf<Conv2dAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireRank(op, weight, "weight", 4);
  RequireShape(op, dy, "dy", ConvolvedShape(op, x, weight.shape));
  return {{x, dy.dtype}};
}

/// Of a transposed convolution: its gradients are the convolution's, with input and result in each other's place.
void ConvTranspose2dGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  Conv2dAttributes attributes = AttributesOf<Conv2dAttributes>(op);
  const ValueId dy = context.OutputGradient(0);
  if (context.Wanted(1)) {
    attributes.result = InputShape(context, 1);
    context.Accumulate(1, context.Emit(OpKind::kConv2dWeightGrad, {op.inputs[0], dy}, attributes, "/weight_grad")[0]);
  }
  if (context.Wanted(0)) {
    attributes.result = {};
    context.Accumulate(0, context.Emit(OpKind::kConv2d, {dy, op.inputs[1], kNoValue}, attributes, "/input_grad")[0]);
  }
}

std::vector<OutputSpec> InferConv2dWeightGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const Shape& weight = AttributesOf<Conv2dAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireFloat(op, x, "x");
  RequireResult(op, weight, 4);
  RequireRank(op, x, "x", 4);
  RequireShape(op, dy, "dy", ConvolvedShape(op, x.shape, weight));
  return {{weight, DType::kF32}, {{weight.dim(0)}, DType::kF32}};
}

/// Every cell of y is the sum of (c / groups) kh kw products; both gradients have as many.
double Products(const Shape& y, const Shape& weight) {
  const int64_t of_a_cell = weight.size() / weight.dim(0);
  return 2.0 * static_cast<double>(y.size()) * static_cast<double>(of_a_cell);
}
double Conv2dFlops(const Graph& graph, const Op& op) {
  return Products(graph.value(op.outputs[0]).shape, InputOf(graph, op, 1).shape);
}
double Conv2dInputGradFlops(const Graph& graph, const Op& op) {
  return Products(InputOf(graph, op, 0).shape, InputOf(graph, op, 1).shape);
}
double Conv2dWeightGradFlops(const Graph& graph, const Op& op) {
  return Products(InputOf(graph, op, 0).shape, AttributesOf<Conv2dAttributes>(op).result);
}

constexpr OpRow kRows[] = {
    {OpKind::kConv2d, "conv2d", "x, weight, bias?", "y", "y = act(convolution of x with weight + bias)", InferConv2d,
     Conv2dGradient, -1, Conv2dFlops},
    {OpKind::kConv2dInputGrad, "conv2d_input_grad", "dy, weight", "dx", "dx = transposed convolution of dy with weight",
     InferConv2dInputGrad, ConvTranspose2dGradient, -1, Conv2dInputGradFlops},
    {OpKind::kConv2dWeightGrad, "conv2d_weight_grad", "dy, x", "dweight, dbias?",
     "dweight = correlation of x with dy, dbias = the sum of dy over all cells", InferConv2dWeightGrad, nullptr, -1,
     Conv2dWeightGradFlops},
};

}  // namespace

std::span<const OpRow> ConvolutionRows() { return kRows; }

}  // namespace lockstep::graph

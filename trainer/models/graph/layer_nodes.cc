// Nodes that multiply with weights, and those that look through windows.
#include <cmath>

#include "trainer/models/blocks.h"
#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::Builder;
using graph::Initializer;
using graph::kNoValue;
using graph::OpKind;
using graph::Pair;
using graph::ValueId;

namespace {

/// What PyTorch's layers begin with: uniform within 1 / sqrt(fan_in), biases too.
Initializer TorchUniform(int64_t fan_in) {
  return {.uniform = static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)))};
}

/// Of height and width, from one number for both or one of each. A sequence's one number is its width's.
Pair NodePair(const NodeBuild& node, const google::protobuf::RepeatedField<uint32_t>& values, const char* field,
              Pair otherwise, bool sequence, int sequence_height) {
  if (values.empty()) return sequence ? Pair{sequence_height, otherwise.width} : otherwise;
  if (values.size() > 2) node.Fail(fmt::format("{} has {} numbers, not one or two", field, values.size()));
  for (const uint32_t value : values) node.InRange(field, value, 0, kMaxWindow);
  const auto first = static_cast<int>(values[0]), last = static_cast<int>(values[values.size() - 1]);
  if (sequence && values.size() == 2) node.Fail(fmt::format("{} has two numbers, but sequences have one", field));
  return {sequence ? sequence_height : first, last};
}

struct Window {
  Pair kernel, stride, padding, dilation;
};

void RequirePositive(const NodeBuild& node, const char* field, Pair pair) {
  if (pair.height < 1 || pair.width < 1) node.Fail(fmt::format("{} must be at least 1", field));
}

template <typename Config>
Window ConvWindow(const NodeBuild& node, const Config& config, bool sequence) {
  Window window;
  window.kernel = NodePair(node, config.kernel(), "kernel", 3, sequence, 1);
  window.stride = NodePair(node, config.stride(), "stride", 1, sequence, 1);
  window.padding =
      NodePair(node, config.padding(), "padding", {window.kernel.height / 2, window.kernel.width / 2}, sequence, 0);
  window.dilation = NodePair(node, config.dilation(), "dilation", 1, sequence, 1);
  RequirePositive(node, "kernel", window.kernel);
  RequirePositive(node, "stride", window.stride);
  RequirePositive(node, "dilation", window.dilation);
  return window;
}

std::vector<ValueId> BuildLinear(const NodeBuild& node, const Linear& config) {
  node.RequireInputs(1, 3);
  node.RequireFloats(0);
  const Shape& x = node.input_shape(0);
  if (x.rank() < 2) node.FailInput(0, "[batch, .., features] is");
  const int64_t in = x.dim(-1);
  int64_t out = config.features();
  if (out == 0) out = node.inputs() > 1 ? node.input_shape(1).dim(0) : node.context().outputs;
  if (out == 0) node.Fail("features is required, since the data say no number of classes or targets");
  node.InRange("features", static_cast<uint64_t>(out), 1, kMaxWidth);
  const ValueId weight = node.ParameterOrInput(1, "weight", {out, in}, TorchUniform(in), true);
  const bool bias = !config.has_bias() || config.bias();
  const ValueId b = bias ? node.ParameterOrInput(2, "bias", {out}, TorchUniform(in), false) : kNoValue;
  return node.Emit(OpKind::kLinear, {node.input(0), weight, b}, graph::LinearAttributes{});
}

/// The weight of a convolution of sequences is PyTorch's, without a height.
ValueId ConvWeight(const NodeBuild& node, int64_t rows, int64_t columns, Pair kernel, bool sequence, int64_t fan_in) {
  const Shape shape = sequence ? Shape{rows, columns, kernel.width} : Shape{rows, columns, kernel.height, kernel.width};
  const ValueId weight = node.ParameterOrInput(1, "weight", shape, TorchUniform(fan_in), true);
  return node.Reshape(weight, {rows, columns, kernel.height, kernel.width}, "/weight_as_image");
}

void RequireGroups(const NodeBuild& node, int64_t in, int64_t out, int64_t groups) {
  if (groups >= 1 && in % groups == 0 && out % groups == 0) return;
  node.Fail(fmt::format("{} input and {} output channels can't be cut into {} groups", in, out, groups),
            "both must be multiples of groups");
}

std::vector<ValueId> BuildConv(const NodeBuild& node, const Conv& config) {
  node.RequireInputs(1, 3);
  const int rank = node.input_shape(0).rank();
  const ValueId x = node.ToImage(0);
  const bool sequence = rank == 3;
  const Window window = ConvWindow(node, config, sequence);
  const int64_t in = node.shape(x).dim(3), groups = config.groups() == 0 ? 1 : config.groups();
  const int64_t out = node.InRange("channels", config.channels(), 1, kMaxWidth);
  RequireGroups(node, in, out, groups);
  const int64_t fan_in = in / groups * window.kernel.height * window.kernel.width;
  const ValueId weight = ConvWeight(node, out, in / groups, window.kernel, sequence, fan_in);
  const bool bias = !config.has_bias() || config.bias();
  const ValueId b = bias ? node.ParameterOrInput(2, "bias", {out}, TorchUniform(fan_in), false) : kNoValue;
  const graph::Conv2dAttributes attributes{.stride = window.stride,
                                           .padding = window.padding,
                                           .groups = static_cast<int>(groups),
                                           .dilation = window.dilation};
  return {node.FromImage(node.Emit(OpKind::kConv2d, {x, weight, b}, attributes)[0], rank)};
}

int64_t TransposedSize(int64_t size, int kernel, int stride, int padding, int dilation, int output_padding) {
  return (size - 1) * stride - 2 * int64_t{padding} + int64_t{dilation} * (kernel - 1) + output_padding + 1;
}

std::vector<ValueId> BuildConvTranspose(const NodeBuild& node, const ConvTranspose& config) {
  node.RequireInputs(1, 3);
  const int rank = node.input_shape(0).rank();
  const ValueId x = node.ToImage(0);
  const bool sequence = rank == 3;
  Window window;
  window.kernel = NodePair(node, config.kernel(), "kernel", 2, sequence, 1);
  window.stride = NodePair(node, config.stride(), "stride", window.kernel, sequence, 1);
  window.padding = NodePair(node, config.padding(), "padding", 0, sequence, 0);
  window.dilation = NodePair(node, config.dilation(), "dilation", 1, sequence, 1);
  const Pair more = NodePair(node, config.output_padding(), "output_padding", 0, sequence, 0);
  RequirePositive(node, "kernel", window.kernel);
  RequirePositive(node, "stride", window.stride);
  RequirePositive(node, "dilation", window.dilation);
  const Shape image = node.shape(x);
  const int64_t in = image[3], groups = config.groups() == 0 ? 1 : config.groups();
  const int64_t out = node.InRange("channels", config.channels(), 1, kMaxWidth);
  RequireGroups(node, in, out, groups);
  const int64_t fan_in = out / groups * window.kernel.height * window.kernel.width;
  const ValueId weight = ConvWeight(node, in, out / groups, window.kernel, sequence, fan_in);
  const int64_t height = TransposedSize(image[1], window.kernel.height, window.stride.height, window.padding.height,
                                        window.dilation.height, more.height);
  const int64_t width = TransposedSize(image[2], window.kernel.width, window.stride.width, window.padding.width,
                                       window.dilation.width, more.width);
  if (height < 1 || width < 1) node.FailInput(0, "a larger image is");
  const graph::Conv2dAttributes attributes{.stride = window.stride,
                                           .padding = window.padding,
                                           .groups = static_cast<int>(groups),
                                           .result = {image[0], height, width, out},
                                           .dilation = window.dilation};
  ValueId y = node.Emit(OpKind::kConv2dInputGrad, {x, weight}, attributes, "/product")[0];
  if (!config.has_bias() || config.bias()) {
    const ValueId bias = node.ParameterOrInput(2, "bias", {out}, TorchUniform(fan_in), false);
    y = node.Emit(OpKind::kBinary, {y, bias}, graph::BinaryAttributes{graph::BinaryFunction::kAdd})[0];
  }
  return {node.FromImage(y, rank)};
}

std::vector<ValueId> BuildPool(const NodeBuild& node, OpKind kind, const Pool& config) {
  node.RequireInputs(1, 1);
  const int rank = node.input_shape(0).rank();
  const ValueId x = node.ToImage(0);
  const bool sequence = rank == 3;
  graph::Pool2dAttributes attributes;
  attributes.kernel = NodePair(node, config.kernel(), "kernel", 2, sequence, 1);
  attributes.stride = NodePair(node, config.stride(), "stride", attributes.kernel, sequence, 1);
  attributes.padding = NodePair(node, config.padding(), "padding", 0, sequence, 0);
  RequirePositive(node, "kernel", attributes.kernel);
  RequirePositive(node, "stride", attributes.stride);
  if (attributes.padding.height >= attributes.kernel.height || attributes.padding.width >= attributes.kernel.width)
    if (attributes.padding.height > 0 || attributes.padding.width > 0) node.Fail("padding must be less than kernel");
  return {node.FromImage(node.Emit(kind, {x}, attributes)[0], rank)};
}

std::vector<ValueId> BuildGlobalPool(const NodeBuild& node) {
  node.RequireInputs(1, 1);
  return {node.Emit(OpKind::kGlobalAveragePool, {node.ToImage(0)})[0]};
}

/// An image becomes a vector, channels first in both layouts, as PyTorch's.
std::vector<ValueId> BuildFlatten(const NodeBuild& node) {
  node.RequireInputs(1, 1);
  const Shape& x = node.input_shape(0);
  if (x.rank() < 2) node.FailInput(0, "[batch, ..] is");
  if (x.rank() == 4 && !node.context().channels_first) return {node.builder().Flatten(node.input(0))};
  return {node.Reshape(node.input(0), {x.dim(0), x.size() / x.dim(0)}, "")};
}

}  // namespace

std::vector<ValueId> BuildLayerNode(const NodeBuild& node) {
  const Node& config = node.node();
  switch (config.op_case()) {
    case Node::kLinear:
      return BuildLinear(node, config.linear());
    case Node::kConv:
      return BuildConv(node, config.conv());
    case Node::kConvTranspose:
      return BuildConvTranspose(node, config.conv_transpose());
    case Node::kMaxPool:
      return BuildPool(node, OpKind::kMaxPool2d, config.max_pool());
    case Node::kAveragePool:
      return BuildPool(node, OpKind::kAveragePool2d, config.average_pool());
    case Node::kGlobalAveragePool:
      return BuildGlobalPool(node);
    case Node::kFlatten:
      return BuildFlatten(node);
    case Node::kDropout:
      node.RequireInputs(1, 1);
      node.RequireFloats(0);
      if (!(config.dropout() >= 0 && config.dropout() < 1))
        node.Fail(fmt::format("dropout: {} is not in [0, 1)", config.dropout()));
      return {node.builder().Dropout(node.input(0), static_cast<float>(config.dropout()), node.name())};
    default:
      return {};
  }
}

}  // namespace lockstep::models

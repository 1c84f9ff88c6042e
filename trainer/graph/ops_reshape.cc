// Ops that move elements and compute nothing.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

std::vector<OutputSpec> InferReshape(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const Shape& y = AttributesOf<ReshapeAttributes>(op).shape;
  if (x.shape.size() != y.size()) {
    Reject(op, fmt::format("x {} has {} elements, but {} has {}", x.shape.ToString(), x.shape.size(), y.ToString(),
                           y.size()));
  }
  return {{y, x.dtype}};
}

void ReshapeGradient(GradientContext& context) {
  const ReshapeAttributes attributes{InputShape(context, 0)};
  context.Accumulate(0, context.Emit(OpKind::kReshape, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferFlatten(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireRank(op, x, "x", 4);
  return {{{x.shape.dim(0), x.shape.size() / x.shape.dim(0)}, x.dtype}};
}

std::vector<OutputSpec> InferFlattenGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<ReshapeAttributes>(op).shape;
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", {x.dim(0), x.size() / x.dim(0)});
  return {{x, dy.dtype}};
}

void FlattenGradient(GradientContext& context) {
  const ReshapeAttributes attributes{InputShape(context, 0)};
  context.Accumulate(0, context.Emit(OpKind::kFlattenGrad, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

Shape PaddedShape(const Op& op, const Shape& x) {
  const auto& attributes = AttributesOf<PadChannelsAttributes>(op);
  const int64_t stride = attributes.stride;
  if (stride < 1 || attributes.channels < x.dim(3)) {
    Reject(op, fmt::format("x {} can't get {} channels at stride {}", x.ToString(), attributes.channels, stride),
           "channels may only be added, and the stride is at least 1");
  }
  return {x.dim(0), (x.dim(1) + stride - 1) / stride, (x.dim(2) + stride - 1) / stride, attributes.channels};
}

std::vector<OutputSpec> InferPadChannels(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  return {{PaddedShape(op, x.shape), x.dtype}};
}

std::vector<OutputSpec> InferPadChannelsGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<PadChannelsAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", PaddedShape(op, x));
  return {{x, dy.dtype}};
}

void PadChannelsGradient(GradientContext& context) {
  PadChannelsAttributes attributes = AttributesOf<PadChannelsAttributes>(context.op());
  attributes.result = InputShape(context, 0);
  context.Accumulate(0, context.Emit(OpKind::kPadChannelsGrad, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

// Reshape is not marked in place: its result shares its input's memory always (passes/memory_plan.cc).
constexpr OpRow kRows[] = {
    {OpKind::kReshape, "reshape", "x", "y", "y = x's bytes in another shape", InferReshape, ReshapeGradient, -1,
     NoFlops},
    {OpKind::kFlatten, "flatten", "x", "y", "y = x, channels first, a row a sample", InferFlatten, FlattenGradient, -1,
     NoFlops},
    {OpKind::kPadChannels, "pad_channels", "x", "y", "y = every stride-th cell of x, with new channels 0",
     InferPadChannels, PadChannelsGradient, -1, NoFlops},
    {OpKind::kFlattenGrad, "flatten_grad", "dy", "dx", "dx = dy, channels last", InferFlattenGrad, nullptr, -1,
     NoFlops},
    {OpKind::kPadChannelsGrad, "pad_channels_grad", "dy", "dx", "dx = dy's old channels where a cell was kept, else 0",
     InferPadChannelsGrad, nullptr, -1, NoFlops},
};

}  // namespace

std::span<const OpRow> ReshapeRows() { return kRows; }

}  // namespace lockstep::graph

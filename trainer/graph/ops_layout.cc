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

Shape ResizedShape(const Op& op, const Shape& x) {
  const auto& attributes = AttributesOf<ResizeAttributes>(op);
  if (attributes.height < 1 || attributes.width < 1) {
    Reject(op, fmt::format("x {} can't become {} by {}", x.ToString(), attributes.height, attributes.width),
           "height and width are at least 1");
  }
  return {x.dim(0), attributes.height, attributes.width, x.dim(3)};
}

std::vector<OutputSpec> InferResizeNearest(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  return {{ResizedShape(op, x.shape), x.dtype}};
}

std::vector<OutputSpec> InferResizeNearestGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<ResizeAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", ResizedShape(op, x));
  return {{x, dy.dtype}};
}

void ResizeNearestGradient(GradientContext& context) {
  ResizeAttributes attributes = AttributesOf<ResizeAttributes>(context.op());
  attributes.result = InputShape(context, 0);
  context.Accumulate(0, context.Emit(OpKind::kResizeNearestGrad, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferConcat(const Graph& graph, const Op& op) {
  const Value& a = InputOf(graph, op, 0);
  const Value& b = InputOf(graph, op, 1);
  RequireFloat(op, a, "a");
  RequireDType(op, b, "b", a.dtype);
  if (a.shape.rank() < 1 || b.shape.rank() < 1 || WithLast(a.shape, 1) != WithLast(b.shape, 1)) {
    Reject(op, fmt::format("a {} and b {} don't fit together", a.shape.ToString(), b.shape.ToString()),
           "they may differ in their last dimension alone");
  }
  return {{WithLast(a.shape, a.shape.dim(-1) + b.shape.dim(-1)), a.dtype}};
}

void ConcatGradient(GradientContext& context) {
  const ValueId dy = context.OutputGradient(0);
  const int64_t p = InputShape(context, 0).dim(-1), q = InputShape(context, 1).dim(-1);
  if (context.Wanted(0)) {
    context.Accumulate(0, context.Emit(OpKind::kSlice, {dy}, SliceAttributes{0, p}, "/a_grad")[0]);
  }
  if (context.Wanted(1)) {
    context.Accumulate(1, context.Emit(OpKind::kSlice, {dy}, SliceAttributes{p, p + q}, "/b_grad")[0]);
  }
}

std::vector<OutputSpec> InferSlice(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& [begin, end] = AttributesOf<SliceAttributes>(op);
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 1 || begin < 0 || end <= begin || end > x.shape.dim(-1)) {
    Reject(op, fmt::format("elements [{}, {}) can't be cut from {}", begin, end, x.shape.ToString()));
  }
  return {{WithLast(x.shape, end - begin), x.dtype}};
}

// Reshape is not marked in place: its result shares its input's memory always (passes/memory_plan.cc).
constexpr OpRow kRows[] = {
    {OpKind::kReshape, "reshape", "x", "y", "y = x's bytes in another shape", InferReshape, ReshapeGradient, -1,
     NoFlops},
    {OpKind::kFlatten, "flatten", "x", "y", "y = x, channels first, a row a sample", InferFlatten, FlattenGradient, -1,
     NoFlops},
    {OpKind::kPadChannels, "pad_channels", "x", "y", "y = every stride-th cell of x, with new channels 0",
     InferPadChannels, PadChannelsGradient, -1, NoFlops},
    {OpKind::kResizeNearest, "resize_nearest", "x", "y", "y = x's cell at the same place of the image",
     InferResizeNearest, ResizeNearestGradient, -1, NoFlops},
    {OpKind::kConcat, "concat", "a, b", "y", "y = a and b side by side", InferConcat, ConcatGradient, -1, NoFlops},
    {OpKind::kSlice, "slice", "x", "y", "y = x's elements from begin to end", InferSlice, nullptr, -1, NoFlops},
    {OpKind::kFlattenGrad, "flatten_grad", "dy", "dx", "dx = dy, channels last", InferFlattenGrad, nullptr, -1,
     NoFlops},
    {OpKind::kPadChannelsGrad, "pad_channels_grad", "dy", "dx", "dx = dy's old channels where a cell was kept, else 0",
     InferPadChannelsGrad, nullptr, -1, NoFlops},
    {OpKind::kResizeNearestGrad, "resize_nearest_grad", "dy", "dx", "dx = the sum of each cell's copies in dy",
     InferResizeNearestGrad, nullptr, -1, FlopsPerInputElement},
};

}  // namespace

std::span<const OpRow> LayoutRows() { return kRows; }

}  // namespace lockstep::graph

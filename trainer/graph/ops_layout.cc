// Ops that move elements and compute nothing.
#include "trainer/graph/op_rows.h"
#include "trainer/graph/strided.h"

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

/// Floats, or whole numbers.
void RequireNumbers(const Op& op, const Value& value, std::string_view operand) {
  if (value.dtype != DType::kI32) RequireFloat(op, value, operand);
}

/// Along which dimension, from the front.
int ConcatAxis(const Op& op, const Shape& x) {
  const int axis = AttributesOf<ConcatAttributes>(op).axis;
  if (axis < -x.rank() || axis >= x.rank()) Reject(op, fmt::format("{} has no dimension {}", x.ToString(), axis));
  return axis < 0 ? axis + x.rank() : axis;
}

Shape WithDim(const Shape& shape, int axis, int64_t size) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims[static_cast<size_t>(axis)] = size;
  return Shape(std::span<const int64_t>(dims));
}

std::vector<OutputSpec> InferConcat(const Graph& graph, const Op& op) {
  const Value& first = InputOf(graph, op, 0);
  const int axis = ConcatAxis(op, first.shape);
  RequireNumbers(op, first, "x");
  int64_t size = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Value& x = InputOf(graph, op, static_cast<int>(i));
    RequireDType(op, x, "x", first.dtype);
    if (x.shape.rank() != first.shape.rank() || WithDim(x.shape, axis, 1) != WithDim(first.shape, axis, 1)) {
      Reject(op, fmt::format("{} and {} don't fit together", first.shape.ToString(), x.shape.ToString()),
             fmt::format("they may differ in dimension {} alone", axis));
    }
    size += x.shape.dim(axis);
  }
  return {{WithDim(first.shape, axis, size), first.dtype}};
}

void ConcatGradient(GradientContext& context) {
  const ValueId dy = context.OutputGradient(0);
  const Shape y = context.graph().value(dy).shape;
  const int axis = ConcatAxis(context.op(), y);
  int64_t begin = 0;
  for (size_t i = 0; i < context.op().inputs.size(); ++i) {
    const auto input = static_cast<int>(i);
    const int64_t size = InputShape(context, input).dim(axis);
    if (context.Wanted(input)) {
      const std::string suffix = fmt::format("/grad{}", i);
      const bool last = axis == y.rank() - 1;
      context.Accumulate(input,
                         last ? context.Emit(OpKind::kSlice, {dy}, SliceAttributes{begin, begin + size}, suffix)[0]
                              : context.Emit(OpKind::kStrided, {dy}, Sliced(y, axis, begin, 1, size), suffix)[0]);
    }
    begin += size;
  }
}

std::vector<OutputSpec> InferSlice(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& [begin, end] = AttributesOf<SliceAttributes>(op);
  RequireNumbers(op, x, "x");
  if (x.shape.rank() < 1 || begin < 0 || end <= begin || end > x.shape.dim(-1)) {
    Reject(op, fmt::format("elements [{}, {}) can't be cut from {}", begin, end, x.shape.ToString()));
  }
  return {{WithLast(x.shape, end - begin), x.dtype}};
}

void SliceGradient(GradientContext& context) {
  const auto [begin, end] = AttributesOf<SliceAttributes>(context.op());
  const Shape x = InputShape(context, 0);
  const auto last = static_cast<size_t>(x.rank() - 1);
  PadAttributes pad;
  pad.before[last] = begin;
  pad.after[last] = x.dim(-1) - end;
  context.Accumulate(0, context.Emit(OpKind::kPad, {context.OutputGradient(0)}, pad, "/grad")[0]);
}

std::vector<OutputSpec> InferFill(const Graph& /*graph*/, const Op& op) {
  const Shape& shape = AttributesOf<FillAttributes>(op).shape;
  if (shape.rank() < 1) Reject(op, "a single number is no shape to fill");
  return {{shape, DType::kF32}};
}

// Reshape is not marked in place: its result shares its input's memory always (passes/memory_plan.cc).
constexpr OpRow kRows[] = {
    {OpKind::kReshape, "reshape", "x", "y", "y = x's bytes in another shape", InferReshape, ReshapeGradient, -1,
     NoFlops},
    {OpKind::kFlatten, "flatten", "x", "y", "y = x, channels first, a row a sample", InferFlatten, FlattenGradient, -1,
     NoFlops},
    {OpKind::kPadChannels, "pad_channels", "x", "y", "y = every stride-th cell of x, with new channels 0",
     InferPadChannels, PadChannelsGradient, -1, NoFlops},
    {OpKind::kConcat, "concat", "x...", "y", "y = all x, one behind the other", InferConcat, ConcatGradient, -1,
     NoFlops},
    {OpKind::kFill, "fill", "", "y", "y = value + step times the place in the last dimension", InferFill, nullptr, -1,
     NoFlops},
    {OpKind::kSlice, "slice", "x", "y", "y = x's elements from begin to end", InferSlice, SliceGradient, -1, NoFlops},
    {OpKind::kFlattenGrad, "flatten_grad", "dy", "dx", "dx = dy, channels last", InferFlattenGrad, nullptr, -1,
     NoFlops},
    {OpKind::kPadChannelsGrad, "pad_channels_grad", "dy", "dx", "dx = dy's old channels where a cell was kept, else 0",
     InferPadChannelsGrad, nullptr, -1, NoFlops},
};

}  // namespace

std::span<const OpRow> LayoutRows() { return kRows; }

}  // namespace lockstep::graph

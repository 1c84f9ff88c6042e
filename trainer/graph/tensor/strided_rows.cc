// Ops that move elements of tensors of any rank: views that are copied, padding, and lookup by a constant index.
#include <algorithm>

#include "trainer/graph/op_rows.h"
#include "trainer/graph/strided.h"

namespace lockstep::graph {
namespace {

void RequireMovable(const Op& op, const Value& value, std::string_view operand) {
  if (value.dtype == DType::kF32 || value.dtype == DType::kBF16 || value.dtype == DType::kI32 ||
      value.dtype == DType::kU8) {
    return;
  }
  Reject(op, fmt::format("{} is {}, but f32, bf16, i32 or u8 is needed", operand, Name(value.dtype)));
}

std::vector<OutputSpec> InferStrided(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& view = AttributesOf<StridedAttributes>(op);
  RequireMovable(op, x, "x");
  if (const std::string problem = ViewProblem(view, x.shape); !problem.empty()) Reject(op, problem);
  return {{view.shape, x.dtype}};
}

std::vector<OutputSpec> InferStridedGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const auto& view = AttributesOf<StridedAttributes>(op);
  RequireFloat(op, dy, "dy");
  RequireShape(op, dy, "dy", view.shape);
  RequireResult(op, view.result, view.result.rank());
  if (const std::string problem = ViewProblem(view, view.result); !problem.empty()) Reject(op, problem);
  for (int d = 0; d < view.shape.rank(); ++d) {
    CHECK(view.shape.dim(d) == 1 || view.strides[static_cast<size_t>(d)] != 0, "{}: dimension {} stands still", op.name,
          d);
  }
  return {{view.result, dy.dtype}};
}

/// Where a view reads every element of x once: the view of y that is x.
StridedAttributes Inverse(const StridedAttributes& view) {
  std::vector<int> order;
  for (int d = 0; d < view.shape.rank(); ++d) {
    if (view.shape.dim(d) > 1) order.push_back(d);
  }
  const auto stride = [&](int d) { return view.strides[static_cast<size_t>(d)]; };
  std::ranges::sort(order, [&](int a, int b) { return std::abs(stride(a)) > std::abs(stride(b)); });
  const auto in_y = StridesOf(view.shape);
  StridedAttributes inverse;
  std::vector<int64_t> dims;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t size = view.shape.dim(order[i]), step = in_y[static_cast<size_t>(order[i])];
    dims.push_back(size);
    inverse.strides[i] = stride(order[i]) < 0 ? -step : step;
    if (stride(order[i]) < 0) inverse.offset += (size - 1) * step;
  }
  inverse.shape = Shape(std::span<const int64_t>(dims));
  return inverse;
}

/// What a view repeats is summed; what is left is each element's own.
void StridedGradient(GradientContext& context) {
  StridedAttributes view = AttributesOf<StridedAttributes>(context.op());
  view.result = InputShape(context, 0);
  ValueId dy = context.OutputGradient(0);
  ReduceAttributes sum{.keep = true};
  std::vector<int64_t> dims(view.shape.dims().begin(), view.shape.dims().end());
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1 || view.strides[d] != 0) continue;
    sum.axes |= 1u << d;
    dims[d] = 1;
  }
  view.shape = Shape(std::span<const int64_t>(dims));
  if (sum.axes != 0) dy = context.Emit(OpKind::kReduce, {dy}, sum, "/grad_sum")[0];
  if (view.shape.size() < view.result.size()) {
    context.Accumulate(0, context.Emit(OpKind::kStridedGrad, {dy}, view, "/grad")[0]);
    return;
  }
  const StridedAttributes inverse = Inverse(view);
  if (inverse.strides != StridesOf(inverse.shape) || inverse.offset != 0) {
    dy = context.Emit(OpKind::kStrided, {dy}, inverse, "/grad")[0];
  }
  context.Accumulate(0, context.Emit(OpKind::kReshape, {dy}, ReshapeAttributes{view.result}, "/grad_shape")[0]);
}

std::vector<OutputSpec> InferPad(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& pad = AttributesOf<PadAttributes>(op);
  RequireFloat(op, x, "x");
  std::vector<int64_t> dims;
  for (int d = 0; d < x.shape.rank(); ++d) {
    const int64_t before = pad.before[static_cast<size_t>(d)], after = pad.after[static_cast<size_t>(d)];
    dims.push_back(before + x.shape.dim(d) + after);
    if (dims.back() < 1 || std::min(before, after) < -x.shape.dim(d)) {
      Reject(op,
             fmt::format("x {} can't be padded by {} and {} along dimension {}", x.shape.ToString(), before, after, d));
    }
  }
  return {{Shape(std::span<const int64_t>(dims)), x.dtype}};
}

void PadGradient(GradientContext& context) {
  PadAttributes pad = AttributesOf<PadAttributes>(context.op());
  for (int64_t& size : pad.before) size = -size;
  for (int64_t& size : pad.after) size = -size;
  pad.value = 0;
  context.Accumulate(0, context.Emit(OpKind::kPad, {context.OutputGradient(0)}, pad, "/grad")[0]);
}

Shape GatheredShape(const Op& op, const Shape& x) {
  const auto& gather = AttributesOf<GatherAttributes>(op);
  if (gather.axis < 0 || gather.axis >= x.rank()) {
    Reject(op, fmt::format("x {} has no dimension {}", x.ToString(), gather.axis));
  }
  CHECK(gather.index != nullptr, "{} has no index", op.name);
  if (gather.index->empty()) Reject(op, "the index is empty");
  for (const int32_t i : *gather.index) {
    if (i >= 0 && i < x.dim(gather.axis)) continue;
    Reject(op, fmt::format("the index has {}, but dimension {} of x {} has {} places", i, gather.axis, x.ToString(),
                           x.dim(gather.axis)));
  }
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims[static_cast<size_t>(gather.axis)] = static_cast<int64_t>(gather.index->size());
  return Shape(std::span<const int64_t>(dims));
}

std::vector<OutputSpec> InferGather(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireMovable(op, x, "x");
  return {{GatheredShape(op, x.shape), x.dtype}};
}

std::vector<OutputSpec> InferGatherGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<GatherAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, x.rank());
  RequireShape(op, dy, "dy", GatheredShape(op, x));
  return {{x, dy.dtype}};
}

void GatherGradient(GradientContext& context) {
  GatherAttributes gather = AttributesOf<GatherAttributes>(context.op());
  gather.result = InputShape(context, 0);
  context.Accumulate(0, context.Emit(OpKind::kGatherGrad, {context.OutputGradient(0)}, gather, "/grad")[0]);
}

constexpr OpRow kRows[] = {
    {OpKind::kStrided, "strided", "x", "y", "y = x's elements, stride by stride", InferStrided, StridedGradient, -1,
     NoFlops},
    {OpKind::kStridedGrad, "strided_grad", "dy", "dx", "dx = dy where x was read, else 0", InferStridedGrad, nullptr,
     -1, NoFlops},
    {OpKind::kPad, "pad", "x", "y", "y = x with a rim of one value, or less of it", InferPad, PadGradient, -1, NoFlops},
    {OpKind::kGather, "gather", "x", "y", "y = x's places of a constant index", InferGather, GatherGradient, -1,
     NoFlops},
    {OpKind::kGatherGrad, "gather_grad", "dy", "dx", "dx = the sum of dy over each place's readers", InferGatherGrad,
     nullptr, -1, FlopsPerInputElement},
};

}  // namespace

std::span<const OpRow> StridedRows() { return kRows; }

}  // namespace lockstep::graph

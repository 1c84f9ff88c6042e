// Reductions over any dimensions, and softmax, which is two of them.
#include <bit>

#include "trainer/graph/op_rows.h"

namespace lockstep::graph {

const char* Name(ReduceFunction function) {
  switch (function) {
    case ReduceFunction::kSum:
      return "sum";
    case ReduceFunction::kMean:
      return "mean";
    case ReduceFunction::kMax:
      return "max";
    case ReduceFunction::kMin:
      return "min";
    case ReduceFunction::kProduct:
      return "product";
  }
  return "?";
}

namespace {

Shape ReducedShape(const Op& op, const Shape& x) {
  const auto& attributes = AttributesOf<ReduceAttributes>(op);
  if (attributes.axes >> x.rank() != 0) {
    Reject(op, fmt::format("x {} has no dimension {}", x.ToString(), std::bit_width(attributes.axes) - 1));
  }
  std::vector<int64_t> dims;
  for (int i = 0; i < x.rank(); ++i) {
    const bool reduced = (attributes.axes >> i & 1) != 0;
    if (!reduced || attributes.keep) dims.push_back(reduced ? 1 : x.dim(i));
  }
  return Shape(std::span<const int64_t>(dims));
}

std::vector<OutputSpec> InferReduce(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  return {{ReducedShape(op, x.shape), x.dtype}};
}

bool NeedsOperand(ReduceFunction function) {
  return function != ReduceFunction::kSum && function != ReduceFunction::kMean;
}
bool NeedsResult(ReduceFunction function) {
  return function == ReduceFunction::kMax || function == ReduceFunction::kMin;
}

std::vector<OutputSpec> InferReduceGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const auto& attributes = AttributesOf<ReduceAttributes>(op);
  RequireFloat(op, dy, "dy");
  RequireResult(op, attributes.result, attributes.result.rank());
  RequireShape(op, dy, "dy", ReducedShape(op, attributes.result));
  if (NeedsOperand(attributes.function)) RequireShape(op, InputOf(graph, op, 1), "x", attributes.result);
  if (NeedsResult(attributes.function)) RequireShape(op, InputOf(graph, op, 2), "y", dy.shape);
  return {{attributes.result, dy.dtype}};
}

void ReduceGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  auto attributes = AttributesOf<ReduceAttributes>(op);
  attributes.result = InputShape(context, 0);
  const ValueId x = NeedsOperand(attributes.function) ? op.inputs[0] : kNoValue;
  const ValueId y = NeedsResult(attributes.function) ? op.outputs[0] : kNoValue;
  context.Accumulate(0, context.Emit(OpKind::kReduceGrad, {context.OutputGradient(0), x, y}, attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferSoftmax(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  AttributesOf<SoftmaxAttributes>(op);
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 1) Reject(op, "a single number has no dimension to normalise over");
  return {{x.shape, x.dtype}};
}

std::vector<OutputSpec> InferSoftmaxGrad(const Graph& graph, const Op& op) {
  const Value &dy = InputOf(graph, op, 0), &y = InputOf(graph, op, 1);
  AttributesOf<SoftmaxAttributes>(op);
  RequireFloat(op, dy, "dy");
  RequireDType(op, y, "y", dy.dtype);
  RequireShape(op, y, "y", dy.shape);
  return {{dy.shape, dy.dtype}};
}

void SoftmaxGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(
      0, context.Emit(OpKind::kSoftmaxGrad, {context.OutputGradient(0), op.outputs[0]}, op.attributes, "/grad")[0]);
}

double SoftmaxFlops(const Graph& graph, const Op& op) { return 4 * FlopsPerElement(graph, op); }

constexpr OpRow kRows[] = {
    {OpKind::kSoftmax, "softmax", "x", "y", "y = e^x / its sum over the row, or the logarithm", InferSoftmax,
     SoftmaxGradient, -1, SoftmaxFlops},
    {OpKind::kSoftmaxGrad, "softmax_grad", "dy, y", "dx", "dx = y (dy - sum of dy y)", InferSoftmaxGrad, nullptr, -1,
     SoftmaxFlops},
    {OpKind::kReduce, "reduce", "x", "y", "y = x, reduced over axes", InferReduce, ReduceGradient, -1,
     FlopsPerInputElement},
    {OpKind::kReduceGrad, "reduce_grad", "dy, x?, y?", "dx", "dx = dy times the slope of what was reduced",
     InferReduceGrad, nullptr, -1, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> ReduceRows() { return kRows; }

}  // namespace lockstep::graph

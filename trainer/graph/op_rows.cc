#include "trainer/graph/op_rows.h"

#include <algorithm>
#include <vector>

#include "trainer/graph/step_block.h"

namespace lockstep::graph {

void Reject(const Op& op, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: {}", Name(op.kind), message), op.name, hint);
}

bool HasInput(const Op& op, int index) {
  return index < static_cast<int>(op.inputs.size()) && op.inputs[static_cast<size_t>(index)] != kNoValue;
}

const Value& InputOf(const Graph& graph, const Op& op, int index) {
  CHECK(HasInput(op, index), "{} ({}) lacks its input {}", op.name, Name(op.kind), index);
  return graph.value(op.inputs[static_cast<size_t>(index)]);
}

void RequireShape(const Op& op, const Value& value, std::string_view operand, const Shape& expected) {
  if (value.shape == expected) return;
  Reject(op, fmt::format("{} has shape {}, but {} is needed", operand, value.shape.ToString(), expected.ToString()));
}

void RequireRank(const Op& op, const Value& value, std::string_view operand, int rank) {
  if (value.shape.rank() == rank) return;
  Reject(op, fmt::format("{} has shape {}, but {} dimensions are needed", operand, value.shape.ToString(), rank),
         rank == 4 ? "images are [batch, height, width, channels]" : "");
}

void RequireDType(const Op& op, const Value& value, std::string_view operand, DType dtype) {
  if (value.dtype == dtype) return;
  Reject(op, fmt::format("{} is {}, but {} is needed", operand, Name(value.dtype), Name(dtype)));
}

void RequireFloat(const Op& op, const Value& value, std::string_view operand) {
  if (value.dtype == DType::kF32 || value.dtype == DType::kBF16) return;
  Reject(op, fmt::format("{} is {}, but f32 or bf16 is needed", operand, Name(value.dtype)));
}

void RequireResult(const Op& op, const Shape& shape, int rank) {
  bool fits = shape.rank() == rank;
  for (int64_t dim : shape.dims()) fits = fits && dim > 0;
  if (!fits) Reject(op, fmt::format("the result has shape {}, but {} dimensions are needed", shape.ToString(), rank));
}

void RequireLossIndex(const Op& op, int loss) {
  CHECK(loss >= 0 && loss < StepBlock::kMaxLosses, "{} is loss {}", op.name, loss);
}

void RequireStepBlock(const Graph& graph, const Op& op, int input) {
  CHECK(InputOf(graph, op, input).role == Role::kStepBlock, "{} needs the step block", op.name);
}

int64_t RequireWindow(const Op& op, const Shape& image, int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                      int64_t dilation) {
  if (kernel < 1 || stride < 1 || padding < 0 || dilation < 1) {
    Reject(op,
           fmt::format("kernel {}, stride {}, padding {} and dilation {} are out of range", kernel, stride, padding,
                       dilation),
           "kernel, stride and dilation are at least 1, padding at least 0");
  }
  const int64_t result = WindowOutput(size, kernel, stride, padding, dilation);
  if (result < 1) {
    Reject(op,
           fmt::format("a window of {} does not fit into {} of an image {} with padding {}",
                       dilation * (kernel - 1) + 1, size, image.ToString(), padding),
           "use a smaller kernel, less pooling before it, or more padding");
  }
  return result;
}

Shape RequireBroadcast(const Op& op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t of_a = i <= a.rank() ? a.dim(-i) : 1, of_b = i <= b.rank() ? b.dim(-i) : 1;
    if (of_a != of_b && of_a != 1 && of_b != 1)
      Reject(op, fmt::format("{} and {} don't broadcast", a.ToString(), b.ToString()),
             "aligned at their last dimensions, each must be the same or 1");
    dims[static_cast<size_t>(rank - i)] = of_a == 1 ? of_b : of_a;
  }
  return Shape(std::span<const int64_t>(dims));
}

ValueId GradientBeforeActivation(GradientContext& context, Activation activation) {
  const ValueId dy = context.OutputGradient(0);
  if (activation == Activation::kNone) return dy;
  CHECK(GradientFollowsFromResult(activation), "{}: {} can't be fused in training", context.op().name,
        Name(activation));
  return context.Emit(OpKind::kActivationGrad, {dy, context.op().outputs[0]}, ActivationAttributes{activation},
                      "/activation_grad")[0];
}

const Shape& InputShape(const GradientContext& context, int index) {
  return InputOf(context.graph(), context.op(), index).shape;
}

ValueId SumTo(GradientContext& context, ValueId value, const Shape& shape, const std::string& suffix) {
  const Shape from = context.graph().value(value).shape;
  const int added = from.rank() - shape.rank();
  ReduceAttributes sum{.keep = added == 0};
  for (int d = 0; d < from.rank(); ++d) {
    if (from.dim(d) > 1 && (d < added || shape.dim(d - added) == 1)) sum.axes |= 1u << d;
  }
  if (sum.axes != 0) value = context.Emit(OpKind::kReduce, {value}, sum, suffix + "_sum")[0];
  if (context.graph().value(value).shape == shape) return value;
  return context.Emit(OpKind::kReshape, {value}, ReshapeAttributes{shape}, suffix + "_shape")[0];
}

Shape WithLast(const Shape& shape, int64_t last) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() = last;
  return Shape(std::span<const int64_t>(dims));
}

Shape WithoutLast(const Shape& shape) { return Shape(shape.dims().first(static_cast<size_t>(shape.rank() - 1))); }

double FlopsPerElement(const Graph& graph, const Op& op) {
  return op.outputs.empty() || op.outputs[0] == kNoValue ? 0
                                                         : static_cast<double>(graph.value(op.outputs[0]).shape.size());
}

double FlopsPerInputElement(const Graph& graph, const Op& op) {
  return static_cast<double>(InputOf(graph, op, 0).shape.size());
}

double NoFlops(const Graph&, const Op&) { return 0; }

}  // namespace lockstep::graph

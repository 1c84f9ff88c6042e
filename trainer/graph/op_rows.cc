#include "trainer/graph/op_rows.h"

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

int64_t RequireWindow(const Op& op, const Shape& image, int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  if (kernel < 1 || stride < 1 || padding < 0) {
    Reject(op, fmt::format("kernel {}, stride {} and padding {} are out of range", kernel, stride, padding),
           "kernel and stride are at least 1, padding at least 0");
  }
  const int64_t result = WindowOutput(size, kernel, stride, padding);
  if (result < 1) {
    Reject(op,
           fmt::format("a window of {} does not fit into {} of an image {} with padding {}", kernel, size,
                       image.ToString(), padding),
           "use a smaller kernel, less pooling before it, or more padding");
  }
  return result;
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

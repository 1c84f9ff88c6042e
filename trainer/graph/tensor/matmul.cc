// Products of matrices that both come from the graph, over batch dimensions that are broadcast as numpy does.
#include <algorithm>

#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// Everything but the last two dimensions.
Shape BatchOf(const Shape& shape) { return Shape(shape.dims().first(static_cast<size_t>(shape.rank() - 2))); }

/// What both become, aligned at the end; none where a dimension differs and is 1 in neither.
bool Broadcast(const Shape& a, const Shape& b, std::vector<int64_t>* dims) {
  const int rank = std::max(a.rank(), b.rank());
  for (int d = -rank; d < 0; ++d) {
    const int64_t i = -d <= a.rank() ? a.dim(d) : 1, j = -d <= b.rank() ? b.dim(d) : 1;
    if (i != j && i != 1 && j != 1) return false;
    dims->push_back(std::max(i, j));
  }
  return true;
}

std::vector<OutputSpec> InferMatMul(const Graph& graph, const Op& op) {
  const Value &a = InputOf(graph, op, 0), &b = InputOf(graph, op, 1);
  const auto& attributes = AttributesOf<MatMulAttributes>(op);
  RequireFloat(op, a, "a");
  RequireFloat(op, b, "b");
  const auto reject = [&] {
    Reject(op,
           fmt::format("a {}{} and b {}{} can't be multiplied", a.shape.ToString(),
                       attributes.transpose_a ? " transposed" : "", b.shape.ToString(),
                       attributes.transpose_b ? " transposed" : ""),
           "a is [.., m, k] and b [.., k, n]; dimensions before these are equal or 1");
  };
  std::vector<int64_t> dims;
  if (a.shape.rank() < 2 || b.shape.rank() < 2 || !Broadcast(BatchOf(a.shape), BatchOf(b.shape), &dims)) reject();
  if (a.shape.dim(attributes.transpose_a ? -2 : -1) != b.shape.dim(attributes.transpose_b ? -1 : -2)) reject();
  dims.push_back(a.shape.dim(attributes.transpose_a ? -1 : -2));
  dims.push_back(b.shape.dim(attributes.transpose_b ? -2 : -1));
  const bool half = (a.dtype == DType::kBF16 || b.dtype == DType::kBF16) && !attributes.float_result;
  return {{Shape(std::span<const int64_t>(dims)), half ? DType::kBF16 : DType::kF32}};
}

/// A product of two values that becomes the gradient of input `input`, summed where that was broadcast.
struct GradientProduct {
  int input;
  ValueId a, b;
  bool transpose_a, transpose_b;
};

void AccumulateProduct(GradientContext& context, const GradientProduct& product, float scale) {
  const Shape shape = InputShape(context, product.input);
  const bool in_float = InputOf(context.graph(), context.op(), product.input).dtype == DType::kF32;
  const std::string suffix = product.input == 0 ? "/a_grad" : "/b_grad";
  const MatMulAttributes attributes{product.transpose_a, product.transpose_b, scale, in_float};
  const ValueId result = context.Emit(OpKind::kMatMul, {product.a, product.b}, attributes, suffix)[0];
  context.Accumulate(product.input, SumTo(context, result, shape, suffix));
}

void MatMulGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const auto& [transpose_a, transpose_b, scale, in_float] = AttributesOf<MatMulAttributes>(op);
  const ValueId a = op.inputs[0], b = op.inputs[1], dy = context.OutputGradient(0);
  if (context.Wanted(1)) {
    const Shape x = InputShape(context, 0), y = context.graph().value(dy).shape;
    const bool one_b = BatchOf(InputShape(context, 1)).size() == 1;
    ValueId rows = a, dy_rows = dy;
    if (one_b && !transpose_a && BatchOf(x).size() > 1 && BatchOf(x) == BatchOf(y)) {
      // One sum over all rows, instead of one a matrix and then their sum.
      const auto flat = [](const Shape& shape) {
        return ReshapeAttributes{{shape.size() / shape.dim(-1), shape.dim(-1)}};
      };
      rows = context.Emit(OpKind::kReshape, {a}, flat(x), "/a_rows")[0];
      dy_rows = context.Emit(OpKind::kReshape, {dy}, flat(y), "/y_rows")[0];
    }
    AccumulateProduct(context,
                      transpose_b ? GradientProduct{1, dy_rows, rows, true, transpose_a}
                                  : GradientProduct{1, rows, dy_rows, !transpose_a, false},
                      scale);
  }
  if (context.Wanted(0)) {
    AccumulateProduct(
        context,
        transpose_a ? GradientProduct{0, b, dy, transpose_b, true} : GradientProduct{0, dy, b, false, !transpose_b},
        scale);
  }
}

double MatMulFlops(const Graph& graph, const Op& op) {
  const Shape& a = InputOf(graph, op, 0).shape;
  const int64_t terms = a.dim(AttributesOf<MatMulAttributes>(op).transpose_a ? -2 : -1);
  return 2 * static_cast<double>(terms) * FlopsPerElement(graph, op);
}

constexpr OpRow kRows[] = {
    {OpKind::kMatMul, "matmul", "a, b", "y", "y = scale a b", InferMatMul, MatMulGradient, -1, MatMulFlops},
};

}  // namespace

std::span<const OpRow> MatMulRows() { return kRows; }

}  // namespace lockstep::graph

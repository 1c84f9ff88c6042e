// Matrix products.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

std::vector<OutputSpec> InferLinear(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const Value& weight = InputOf(graph, op, 1);
  AttributesOf<LinearAttributes>(op);
  RequireFloat(op, x, "x");
  RequireFloat(op, weight, "weight");
  RequireRank(op, weight, "weight", 2);
  if (x.shape.rank() < 1 || x.shape.dim(-1) != weight.shape.dim(1)) {
    Reject(op, fmt::format("x {} does not fit weight {}: x's last dimension must be {}", x.shape.ToString(),
                           weight.shape.ToString(), weight.shape.dim(1)));
  }
  if (HasInput(op, 2)) RequireShape(op, InputOf(graph, op, 2), "bias", {weight.shape.dim(0)});
  return {{WithLast(x.shape, weight.shape.dim(0)), x.dtype}};
}

void LinearGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const ValueId dy = GradientBeforeActivation(context, AttributesOf<LinearAttributes>(op).activation);
  const bool bias = HasInput(op, 2) && context.Wanted(2);
  if (context.Wanted(1) || bias) {
    const auto out = context.Emit(OpKind::kLinearWeightGrad, {dy, op.inputs[0]}, LinearAttributes{}, "/weight_grad");
    if (context.Wanted(1)) context.Accumulate(1, out[0]);
    if (bias) context.Accumulate(2, out[1]);
  }
  if (context.Wanted(0)) {
    context.Accumulate(
        0, context.Emit(OpKind::kLinearInputGrad, {dy, op.inputs[1]}, LinearAttributes{}, "/input_grad")[0]);
  }
}

std::vector<OutputSpec> InferLinearInputGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& weight = InputOf(graph, op, 1);
  RequireFloat(op, dy, "dy");
  RequireRank(op, weight, "weight", 2);
  if (dy.shape.rank() < 1 || dy.shape.dim(-1) != weight.shape.dim(0)) {
    Reject(op, fmt::format("dy {} does not fit weight {}", dy.shape.ToString(), weight.shape.ToString()));
  }
  return {{WithLast(dy.shape, weight.shape.dim(1)), dy.dtype}};
}

std::vector<OutputSpec> InferLinearWeightGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  RequireFloat(op, dy, "dy");
  RequireFloat(op, x, "x");
  if (dy.shape.rank() < 1 || x.shape.rank() < 1 || WithLast(dy.shape, 1) != WithLast(x.shape, 1)) {
    Reject(op, fmt::format("dy {} and x {} have different rows", dy.shape.ToString(), x.shape.ToString()));
  }
  return {{{dy.shape.dim(-1), x.shape.dim(-1)}, DType::kF32}, {{dy.shape.dim(-1)}, DType::kF32}};
}

double LinearFlops(const Graph& graph, const Op& op) {
  const double x = static_cast<double>(InputOf(graph, op, 0).shape.size());
  return 2 * x * static_cast<double>(InputOf(graph, op, 1).shape.dim(0));
}
double LinearInputGradFlops(const Graph& graph, const Op& op) {
  const double dy = static_cast<double>(InputOf(graph, op, 0).shape.size());
  return 2 * dy * static_cast<double>(InputOf(graph, op, 1).shape.dim(1));
}
double LinearWeightGradFlops(const Graph& graph, const Op& op) {
  const double dy = static_cast<double>(InputOf(graph, op, 0).shape.size());
  return 2 * dy * static_cast<double>(InputOf(graph, op, 1).shape.dim(-1));
}

constexpr OpRow kRows[] = {
    {OpKind::kLinear, "linear", "x, weight, bias?", "y", "y = act(x weight^T + bias)", InferLinear, LinearGradient, -1,
     LinearFlops},
    {OpKind::kLinearInputGrad, "linear_input_grad", "dy, weight", "dx", "dx = dy weight", InferLinearInputGrad, nullptr,
     -1, LinearInputGradFlops},
    {OpKind::kLinearWeightGrad, "linear_weight_grad", "dy, x", "dweight, dbias?",
     "dweight = dy^T x, dbias = the sum of dy's rows", InferLinearWeightGrad, nullptr, -1, LinearWeightGradFlops},
};

}  // namespace

std::span<const OpRow> LinearRows() { return kRows; }

}  // namespace lockstep::graph

// Images [n, h, w, c] that become larger or smaller.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

Shape ResizedShape(const Op& op, const Shape& x) {
  const auto& attributes = AttributesOf<ResizeAttributes>(op);
  if (attributes.height < 1 || attributes.width < 1) {
    Reject(op, fmt::format("x {} can't become {} by {}", x.ToString(), attributes.height, attributes.width),
           "height and width are at least 1");
  }
  return {x.dim(0), attributes.height, attributes.width, x.dim(3)};
}

std::vector<OutputSpec> InferResize(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  return {{ResizedShape(op, x.shape), x.dtype}};
}

std::vector<OutputSpec> InferResizeGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<ResizeAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", ResizedShape(op, x));
  return {{x, dy.dtype}};
}

template <OpKind kGradient>
void ResizeGradient(GradientContext& context) {
  ResizeAttributes attributes = AttributesOf<ResizeAttributes>(context.op());
  attributes.result = InputShape(context, 0);
  context.Accumulate(0, context.Emit(kGradient, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

/// Four products with a weight, and their sum.
double LinearFlops(const Graph& graph, const Op& op) { return 8 * FlopsPerElement(graph, op); }
double LinearGradFlops(const Graph& graph, const Op& op) { return 8 * FlopsPerInputElement(graph, op); }

constexpr OpRow kRows[] = {
    {OpKind::kResizeNearest, "resize_nearest", "x", "y", "y = x's cell at the same place of the image", InferResize,
     ResizeGradient<OpKind::kResizeNearestGrad>, -1, NoFlops},
    {OpKind::kResizeNearestGrad, "resize_nearest_grad", "dy", "dx", "dx = the sum of each cell's copies in dy",
     InferResizeGrad, nullptr, -1, FlopsPerInputElement},
    {OpKind::kResizeLinear, "resize_linear", "x", "y", "y = the weighted mean of the four cells of x around its place",
     InferResize, ResizeGradient<OpKind::kResizeLinearGrad>, -1, LinearFlops},
    {OpKind::kResizeLinearGrad, "resize_linear_grad", "dy", "dx", "dx = the sum of what each cell gave to y, by dy",
     InferResizeGrad, nullptr, -1, LinearGradFlops},
};

}  // namespace

std::span<const OpRow> ResizeRows() { return kRows; }

}  // namespace lockstep::graph

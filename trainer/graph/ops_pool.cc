// Pooling over windows, and over whole images.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

Shape PooledShape(const Op& op, const Shape& x) {
  const auto& [kernel, stride, padding, result] = AttributesOf<Pool2dAttributes>(op);
  if (padding.height >= kernel.height || padding.width >= kernel.width) {
    Reject(op,
           fmt::format("padding {} with a window of {} makes windows without a cell of the image {}", ToString(padding),
                       ToString(kernel), x.ToString()),
           "padding must be less than the window");
  }
  return {x.dim(0), RequireWindow(op, x, x.dim(1), kernel.height, stride.height, padding.height),
          RequireWindow(op, x, x.dim(2), kernel.width, stride.width, padding.width), x.dim(3)};
}

std::vector<OutputSpec> InferMaxPool2d(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  const Shape y = PooledShape(op, x.shape);
  const Pair& kernel = AttributesOf<Pool2dAttributes>(op).kernel;
  if (kernel.height * kernel.width > 256) {
    Reject(op, fmt::format("a window of {} has more cells than a byte can number", ToString(kernel)),
           "max pooling goes up to 256 cells, 16x16");
  }
  return {{y, x.dtype}, {y, DType::kU8}};
}

std::vector<OutputSpec> InferAveragePool2d(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  return {{PooledShape(op, x.shape), x.dtype}};
}

std::vector<OutputSpec> InferMaxPool2dGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<Pool2dAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", PooledShape(op, x));
  RequireShape(op, InputOf(graph, op, 1), "index", dy.shape);
  RequireDType(op, InputOf(graph, op, 1), "index", DType::kU8);
  return {{x, dy.dtype}};
}

std::vector<OutputSpec> InferAveragePool2dGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<Pool2dAttributes>(op).result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", PooledShape(op, x));
  return {{x, dy.dtype}};
}

std::vector<OutputSpec> InferGlobalAveragePool(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 4);
  return {{{x.shape.dim(0), x.shape.dim(3)}, x.dtype}};
}

std::vector<OutputSpec> InferGlobalAveragePoolGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Shape& x = AttributesOf<ReshapeAttributes>(op).shape;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 4);
  RequireShape(op, dy, "dy", {x.dim(0), x.dim(3)});
  return {{x, dy.dtype}};
}

Pool2dAttributes BackTo(const Op& op, const Shape& x) {
  Pool2dAttributes attributes = AttributesOf<Pool2dAttributes>(op);
  attributes.result = x;
  return attributes;
}

void MaxPool2dGradient(GradientContext& context) {
  const ValueId index = context.op().outputs[1];
  CHECK(index != kNoValue, "{} has no index", context.op().name);
  const Pool2dAttributes attributes = BackTo(context.op(), InputShape(context, 0));
  context.Accumulate(
      0, context.Emit(OpKind::kMaxPool2dGrad, {context.OutputGradient(0), index}, attributes, "/input_grad")[0]);
}

void AveragePool2dGradient(GradientContext& context) {
  const Pool2dAttributes attributes = BackTo(context.op(), InputShape(context, 0));
  context.Accumulate(
      0, context.Emit(OpKind::kAveragePool2dGrad, {context.OutputGradient(0)}, attributes, "/input_grad")[0]);
}

void GlobalAveragePoolGradient(GradientContext& context) {
  const ReshapeAttributes attributes{InputShape(context, 0)};
  context.Accumulate(
      0, context.Emit(OpKind::kGlobalAveragePoolGrad, {context.OutputGradient(0)}, attributes, "/input_grad")[0]);
}

double WindowFlops(const Graph& graph, const Op& op) {
  const Pair& kernel = AttributesOf<Pool2dAttributes>(op).kernel;
  return static_cast<double>(kernel.height) * kernel.width * FlopsPerElement(graph, op);
}

constexpr OpRow kRows[] = {
    {OpKind::kMaxPool2d, "max_pool2d", "x", "y, index?", "y = the largest cell of each window", InferMaxPool2d,
     MaxPool2dGradient, -1, WindowFlops},
    {OpKind::kAveragePool2d, "average_pool2d", "x", "y", "y = the mean of each window's cells", InferAveragePool2d,
     AveragePool2dGradient, -1, WindowFlops},
    {OpKind::kGlobalAveragePool, "global_average_pool", "x", "y", "y = the mean over height and width",
     InferGlobalAveragePool, GlobalAveragePoolGradient, -1, FlopsPerInputElement},
    {OpKind::kMaxPool2dGrad, "max_pool2d_grad", "dy, index", "dx", "dx = dy where y came from, else 0",
     InferMaxPool2dGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kAveragePool2dGrad, "average_pool2d_grad", "dy", "dx", "dx = dy spread evenly over each window",
     InferAveragePool2dGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kGlobalAveragePoolGrad, "global_average_pool_grad", "dy", "dx", "dx = dy / (height width)",
     InferGlobalAveragePoolGrad, nullptr, -1, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> PoolingRows() { return kRows; }

}  // namespace lockstep::graph

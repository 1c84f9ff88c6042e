// Nodes whose values are made of many: products, sums, softmax.
#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::OpKind;
using graph::ReduceFunction;
using graph::ValueId;

namespace {

std::vector<ValueId> BuildMatMul(const NodeBuild& node, const MatMul& config) {
  node.RequireInputs(2, 2);
  for (size_t i : {0, 1}) {
    node.RequireFloats(i);
    node.RequireRank(i, 2, Shape::kMaxRank, "[.., rows, columns] is");
  }
  const graph::MatMulAttributes attributes{.transpose_a = config.transpose_a(),
                                           .transpose_b = config.transpose_b(),
                                           .scale = static_cast<float>(config.has_scale() ? config.scale() : 1)};
  return {node.Emit(OpKind::kMatMul, {node.input(0), node.input(1)}, attributes)[0]};
}

ReduceFunction FunctionOf(Reduce::Kind kind) {
  switch (kind) {
    case Reduce::MEAN:
      return ReduceFunction::kMean;
    case Reduce::MAX:
      return ReduceFunction::kMax;
    case Reduce::MIN:
      return ReduceFunction::kMin;
    case Reduce::PRODUCT:
      return ReduceFunction::kProduct;
    default:
      return ReduceFunction::kSum;
  }
}

std::vector<ValueId> BuildReduce(const NodeBuild& node, const Reduce& config) {
  node.RequireInputs(1, 1);
  node.RequireFloats(0);
  const int rank = node.input_shape(0).rank();
  uint32_t axes = 0;
  for (const int32_t axis : config.axes()) axes |= 1u << node.Axis(axis, rank);
  if (axes == 0) axes = (1u << rank) - 2;
  if (axes == 0) return {node.input(0)};
  const graph::ReduceAttributes attributes{.function = FunctionOf(config.kind()), .axes = axes, .keep = config.keep()};
  return {node.Emit(OpKind::kReduce, {node.input(0)}, attributes)[0]};
}

/// The op works along the last dimension.
std::vector<ValueId> BuildSoftmax(const NodeBuild& node, const Softmax& config) {
  node.RequireInputs(1, 1);
  node.RequireFloats(0);
  const int rank = node.input_shape(0).rank();
  const int axis = node.Axis(config.has_axis() ? config.axis() : -1, rank);
  const graph::SoftmaxAttributes attributes{.log = config.log()};
  if (axis == rank - 1) return {node.Emit(OpKind::kSoftmax, {node.input(0)}, attributes)[0]};
  std::vector<int> order;
  for (int i = 0; i < rank; ++i) order.push_back(i);
  std::swap(order[static_cast<size_t>(axis)], order.back());
  const ValueId x = node.Transpose(node.input(0), order, "/axis_last");
  return {node.Transpose(node.Emit(OpKind::kSoftmax, {x}, attributes)[0], order, "/axis_back")};
}

}  // namespace

std::vector<ValueId> BuildReductionNode(const NodeBuild& node) {
  const Node& config = node.node();
  switch (config.op_case()) {
    case Node::kMatmul:
      return BuildMatMul(node, config.matmul());
    case Node::kReduce:
      return BuildReduce(node, config.reduce());
    case Node::kSoftmax:
      return BuildSoftmax(node, config.softmax());
    case Node::kArgMax:
      node.RequireInputs(1, 1);
      node.RequireFloats(0);
      return {node.Emit(OpKind::kArgMax, {node.input(0)})[0]};
    default:
      return {};
  }
}

}  // namespace lockstep::models

// Nodes that normalise.
#include <cmath>

#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::kNoValue;
using graph::OpKind;
using graph::ValueId;

namespace {

float Epsilon(const NodeBuild& node, bool given, double epsilon, double otherwise) {
  if (!given) return static_cast<float>(otherwise);
  if (!(epsilon > 0 && std::isfinite(epsilon))) node.Fail(fmt::format("epsilon: {} is not a number > 0", epsilon));
  return static_cast<float>(epsilon);
}

/// Ones or zeros where a norm has no weight or bias of its own.
ValueId Constant(const NodeBuild& node, const Shape& shape, float value, const std::string& suffix) {
  return node.Emit(OpKind::kFill, {}, graph::FillAttributes{.shape = shape, .value = value}, suffix)[0];
}

/// x with its channels last; of what has no height and width nothing is moved.
ValueId ChannelsLast(const NodeBuild& node) {
  const Shape& x = node.input_shape(0);
  node.RequireFloats(0);
  if (x.rank() < 2) node.FailInput(0, "[batch, .., channels] is");
  if (x.rank() == 2) return node.input(0);
  if (x.rank() <= 4) return node.ToImage(0);
  if (node.context().channels_first) node.FailInput(0, "at most [batch, channels, height, width] is");
  return node.input(0);
}

ValueId ChannelsBack(const NodeBuild& node, ValueId y) {
  const int rank = node.input_shape(0).rank();
  return rank == 3 || rank == 4 ? node.FromImage(y, rank) : y;
}

std::vector<ValueId> BuildBatchNorm(const NodeBuild& node, const BatchNorm& config) {
  node.RequireInputs(1, 1);
  const ValueId x = ChannelsLast(node);
  const float epsilon = Epsilon(node, config.has_epsilon(), config.epsilon(), 1e-5);
  const double momentum = config.has_momentum() ? config.momentum() : 0.1;
  if (!(momentum > 0 && momentum <= 1)) node.Fail(fmt::format("momentum: {} is not in (0, 1]", momentum));
  const ValueId y = config.frozen()
                        ? node.builder().FrozenBatchNorm(x, node.parameters(), epsilon)
                        : node.builder().BatchNorm(x, node.parameters(), epsilon, static_cast<float>(momentum), 1);
  return {ChannelsBack(node, y)};
}

/// Weight and bias may lie in several dimensions; ops want them in one.
std::vector<ValueId> BuildLayerNorm(const NodeBuild& node, const LayerNormNode& config) {
  node.RequireInputs(1, 3);
  node.RequireFloats(0);
  const Shape x = node.input_shape(0);
  const int count = config.dimensions() == 0 ? 1 : static_cast<int>(config.dimensions());
  if (count >= x.rank()) node.FailInput(0, fmt::format("one of at least {} dimensions is", count + 1));
  const Shape over(x.dims().subspan(static_cast<size_t>(x.rank() - count)));
  const int64_t size = over.size();
  const bool affine = !config.has_affine() || config.affine();
  const bool with_bias = config.has_bias() ? config.bias() : affine;
  const ValueId weight =
      affine ? node.Reshape(node.ParameterOrInput(1, "weight", over, {.value = 1}, false), {size}, "/weight_as_row")
             : Constant(node, {size}, 1, "/ones");
  const ValueId bias =
      with_bias ? node.Reshape(node.ParameterOrInput(2, "bias", over, {}, false), {size}, "/bias_as_row") : kNoValue;
  const ValueId rows = node.Reshape(node.input(0), {x.size() / size, size}, "/as_rows");
  const graph::NormAttributes attributes{.epsilon = Epsilon(node, config.has_epsilon(), config.epsilon(), 1e-5)};
  return {
      node.Reshape(node.Emit(OpKind::kLayerNorm, {count == 1 ? node.input(0) : rows, weight, bias}, attributes)[0], x)};
}

std::vector<ValueId> BuildRmsNorm(const NodeBuild& node, const RmsNorm& config) {
  node.RequireInputs(1, 2);
  node.RequireFloats(0);
  const ValueId weight = node.ParameterOrInput(1, "weight", {node.input_shape(0).dim(-1)}, {.value = 1}, false);
  const graph::NormAttributes attributes{.epsilon = Epsilon(node, config.has_epsilon(), config.epsilon(), 1e-6)};
  return {node.Emit(OpKind::kRmsNorm, {node.input(0), weight}, attributes)[0]};
}

std::vector<ValueId> BuildGroupNorm(const NodeBuild& node, const GroupNorm& config) {
  node.RequireInputs(1, 3);
  const int rank = node.input_shape(0).rank();
  const ValueId x = node.ToImage(0);
  const Shape channels{node.shape(x).dim(3)};
  const int64_t groups = config.groups() == 0 ? channels[0] : config.groups();
  if (channels[0] % groups != 0) node.Fail(fmt::format("{} channels can't be cut into {} groups", channels[0], groups));
  const bool affine = !config.has_affine() || config.affine();
  const ValueId weight =
      affine ? node.ParameterOrInput(1, "weight", channels, {.value = 1}, false) : Constant(node, channels, 1, "/ones");
  const ValueId bias =
      affine ? node.ParameterOrInput(2, "bias", channels, {}, false) : Constant(node, channels, 0, "/zeros");
  const graph::GroupNormAttributes attributes{.groups = static_cast<int>(groups),
                                              .epsilon = Epsilon(node, config.has_epsilon(), config.epsilon(), 1e-5)};
  return {node.FromImage(node.Emit(OpKind::kGroupNorm, {x, weight, bias}, attributes)[0], rank)};
}

}  // namespace

std::vector<ValueId> BuildNormNode(const NodeBuild& node) {
  const Node& config = node.node();
  switch (config.op_case()) {
    case Node::kBatchNorm:
      return BuildBatchNorm(node, config.batch_norm());
    case Node::kLayerNorm:
      return BuildLayerNorm(node, config.layer_norm());
    case Node::kRmsNorm:
      return BuildRmsNorm(node, config.rms_norm());
    case Node::kGroupNorm:
      return BuildGroupNorm(node, config.group_norm());
    default:
      return {};
  }
}

}  // namespace lockstep::models

// Norms.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/layer_weights.h"
#include "trainer/onnx/convert/weight_trace.h"

namespace lockstep::onnx {
namespace {

/// Running statistics belong to the norm's module, under PyTorch's names.
void StoreStatistic(Conversion& to, const OpNode& node, size_t input, const std::string& name) {
  to.Store(name, node.input_dims(input), TraceOf(to.view(), node.input(input)).values());
  ++to.counts().buffers;
}

/// The module that running statistics belong to: batch norms without weights have no other sign of it.
std::string ModuleOfStatistics(const OpNode& node) {
  const std::string& mean = node.input(3);
  const std::string end = ".running_mean";
  if (mean.size() > end.size() && mean.ends_with(end)) return mean.substr(0, mean.size() - end.size());
  return ModulePathOf(node.proto());
}

/// With running statistics and training's meaning, whatever mode the file says: PyTorch's newer exporter writes
/// inference even in training mode.
void ConvertBatchNorm(Conversion& to, const OpNode& node) {
  models::Node layer = NodeReading({to.Floats(node.input(0))});
  std::string name = TakeWeights(to, node, "batch_norm", {{"weight", node.input(1)}, {"bias", node.input(2)}}, layer);
  if (layer.input_size() > 1) {  // the layer has parameters of its own: these are their values
    layer.mutable_input()->DeleteSubrange(1, layer.input_size() - 1);
    const std::string module = ModuleOfStatistics(node);
    layer.set_parameters(module.empty() ? name : module);
    for (const size_t i : {1u, 2u}) {
      const Dims& dims = node.input_dims(i);
      to.CountParameter(dims);
      to.Store(layer.parameters() + (i == 1 ? ".weight" : ".bias"), dims, TraceOf(to.view(), node.input(i)).values());
    }
    name = layer.parameters();
  }
  const std::string module = layer.parameters();
  models::BatchNorm& norm = *layer.mutable_batch_norm();
  if (const double epsilon = node.attributes().Float("epsilon", 1e-5); epsilon != 1e-5) norm.set_epsilon(epsilon);
  // The standard's momentum is what stays, PyTorch's what comes.
  const double momentum = Decimal(static_cast<float>(1 - node.attributes().Float("momentum", 0.9)));
  if (std::abs(momentum - 0.1) > 1e-6 && momentum > 0) norm.set_momentum(momentum);
  StoreStatistic(to, node, 3, module + ".running_mean");
  StoreStatistic(to, node, 4, module + ".running_var");
  ++to.counts().batch_norms;
  to.Bind(node.output(), {to.Emit(std::move(layer), name)});
}

/// The further results, where somebody wants them: means, and the inverses of deviations.
void BindStatistics(Conversion& to, const OpNode& node, const std::string& x, int axis) {
  const auto wanted = [&](int i) {
    return node.proto().output_size() > i && !node.proto().output(i).empty() &&
           (to.view().IsOutput(node.proto().output(i)) || !to.view().ReadersOf(node.proto().output(i)).empty());
  };
  if (!wanted(1) && !wanted(2)) return;
  std::vector<size_t> axes;
  for (int d = axis; d < node.rank(); ++d) axes.push_back(static_cast<size_t>(d));
  const std::string name = to.NameFor(node, "layer_norm");
  const std::string mean = ReducedTo(to, x, models::Reduce::MEAN, axes, true, name + ".mean");
  if (wanted(1)) to.Bind(node.output(1), {mean});
  if (!wanted(2)) return;
  const std::string rest = WithOther(to, x, &models::Node::mutable_subtract, mean, name + ".rest");
  const std::string squares = WithOther(to, rest, &models::Node::mutable_multiply, rest, name + ".squares");
  const std::string variance = ReducedTo(to, squares, models::Reduce::MEAN, axes, true, name + ".variance");
  const std::string sum =
      WithNumber(to, variance, &models::Node::mutable_add, node.attributes().Float("epsilon", 1e-5), name + ".sum");
  to.Bind(node.output(2), {WithNumber(to, sum, &models::Node::mutable_power, -0.5, name + ".inverse")});
}

void ConvertLayerNorm(Conversion& to, const OpNode& node) {
  const int axis = Axis(node.attributes().Int("axis", -1), node.rank()), dimensions = node.rank() - axis;
  // All that recipes know has a dimension in front of what is normalised.
  std::string x = to.Floats(node.input(0));
  const Dims from = to.OpenShape(node.input(0));
  BindStatistics(to, node, x, axis);
  Dims rows = from;
  rows.insert(rows.begin(), 1);
  if (axis == 0) x = Reshaped(to, x, from, rows, to.NameFor(node, "one_row"));
  models::Node layer = NodeReading({x});
  std::string name = to.NameFor(node, "layer_norm");
  models::LayerNormNode& norm = *layer.mutable_layer_norm();
  if (HasPlainWeights(to, node)) {
    norm.set_affine(false);
  } else {
    std::vector<LayerWeight> weights = {{"weight", node.input(1)}};
    if (node.Has(2)) weights.push_back({"bias", node.input(2)});
    if (!node.Has(2)) norm.set_bias(false);
    for (const LayerWeight& weight : weights)
      if (to.view().Find(weight.value, 0)->rank() != dimensions) throw Unsupported("a weight that is broadcast");
    name = TakeWeights(to, node, "layer_norm", weights, layer);
  }
  if (const double epsilon = node.attributes().Float("epsilon", 1e-5); epsilon != 1e-5) norm.set_epsilon(epsilon);
  if (dimensions != 1) norm.set_dimensions(static_cast<uint32_t>(dimensions));
  std::string y = to.Emit(std::move(layer), name);
  if (axis == 0) y = Reshaped(to, y, rows, from, name + ".whole");
  to.Bind(node.output(), {y});
}

void ConvertRmsNorm(Conversion& to, const OpNode& node) {
  if (Axis(node.attributes().Int("axis", -1), node.rank()) != node.rank() - 1)
    throw Unsupported("a norm over several dimensions");
  if (node.input_dims(1).size() != 1) throw Unsupported("a weight that is broadcast");
  models::Node layer = NodeReading({to.Floats(node.input(0))});
  const std::string name = TakeWeights(to, node, "rms_norm", {{"weight", node.input(1)}}, layer);
  layer.mutable_rms_norm();
  if (const double epsilon = node.attributes().Float("epsilon", 1e-5); epsilon != 1e-6)
    layer.mutable_rms_norm()->set_epsilon(epsilon);
  to.Bind(node.output(), {to.Emit(std::move(layer), name)});
}

/// x (bias + alpha / size * the sum of squares of `size` neighbouring channels)^-beta.
void ConvertLrn(Conversion& to, const OpNode& node) {
  const int64_t size = node.attributes().Int("size", 1);
  const std::string name = to.NameFor(node, "lrn"), x = to.Floats(node.input(0));
  const Dims from = to.OpenShape(node.input(0));
  const int64_t channels = node.input_dims(0)[1];
  std::vector<float> near;  // a matrix of channels: 1 / size where they are neighbours
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t other = 0; other < channels; ++other)
      near.push_back(other >= c - (size - 1) / 2 && other <= c + size / 2 ? 1.0F / static_cast<float>(size) : 0.0F);
  const std::string matrix = to.EmitBuffer(name + ".neighbours", {channels, channels}, std::move(near));
  const std::string square = WithOther(to, x, &models::Node::mutable_multiply, x, name + ".square");
  int64_t places = 1;
  for (size_t d = 2; d < from.size(); ++d) places *= from[d];
  const Dims flat = {from[0], channels, places};
  models::Node product = NodeReading({matrix, Reshaped(to, square, from, flat, name + ".flat")});
  product.mutable_matmul();
  const std::string mean = Reshaped(to, to.Emit(std::move(product), name + ".mean"), flat, from, name + ".image");
  const std::string scaled =
      WithNumber(to, mean, &models::Node::mutable_multiply, node.attributes().Float("alpha", 1e-4), name + ".scaled");
  const std::string sum =
      WithNumber(to, scaled, &models::Node::mutable_add, node.attributes().Float("bias", 1), name + ".sum");
  const std::string power =
      WithNumber(to, sum, &models::Node::mutable_power, node.attributes().Float("beta", 0.75), name + ".power");
  to.Bind(node.output(), {WithOther(to, x, &models::Node::mutable_divide, power, name)});
}

void ConvertLpNorm(Conversion& to, const OpNode& node) {
  const std::vector<size_t> axes = {static_cast<size_t>(Axis(node.attributes().Int("axis", -1), node.rank()))};
  const std::string name = to.NameFor(node, "lp_norm"), x = to.Floats(node.input(0));
  const bool one = node.attributes().Int("p", 2) == 1;
  const std::string parts = one ? Functioned(to, x, models::Function::ABS, name + ".abs")
                                : WithOther(to, x, &models::Node::mutable_multiply, x, name + ".square");
  std::string sum = ReducedTo(to, parts, models::Reduce::SUM, axes, true, name + ".sum");
  if (!one) sum = Functioned(to, sum, models::Function::SQRT, name + ".length");
  to.Bind(node.output(), {WithOther(to, x, &models::Node::mutable_divide, sum, name)});
}

}  // namespace

ConvertRules NormConversions() {
  return {
      {"BatchNormalization", ConvertBatchNorm}, {"LRN", ConvertLrn},
      {"LayerNormalization", ConvertLayerNorm}, {"LpNormalization", ConvertLpNorm},
      {"RMSNormalization", ConvertRmsNorm},
  };
}

}  // namespace lockstep::onnx

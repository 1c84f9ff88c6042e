#include "trainer/graph/builder.h"

#include <cmath>
#include <utility>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/step_block.h"

namespace lockstep::graph {
namespace {

void RequirePositive(const std::string& name, const Shape& shape) {
  for (int64_t dim : shape.dims()) {
    if (dim < 1) {
      throw Error(ErrorKind::kUsage, fmt::format("shape {} has a dimension that is not positive", shape.ToString()),
                  name);
    }
  }
}

void RequireImages(const std::string& name, const Shape& x) {
  if (x.rank() == 4) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("images [batch, height, width, channels] are needed, not {}", x.ToString()), name,
              x.rank() == 2 ? "put it before the layer that flattens" : "");
}

void RequireGroups(const std::string& name, int64_t in, int64_t out, int groups) {
  if (groups >= 1 && in % groups == 0 && out % groups == 0) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("{} input and {} output channels can't be cut into {} groups", in, out, groups), name,
              "both must be multiples of groups");
}

void RequireRows(const std::string& name, const Shape& x) {
  if (x.rank() >= 2) return;
  throw Error(ErrorKind::kUsage, fmt::format("at least 2 dimensions are needed, not {}", x.ToString()), name);
}

}  // namespace

ValueId Builder::NewValue(Value value) {
  RequirePositive(value.name, value.shape);
  if (graph_.Find(value.name) != kNoValue) {
    throw Error(ErrorKind::kUsage, fmt::format("two values are named {}", value.name), value.name,
                "give layers names that differ");
  }
  graph_.values.push_back(std::move(value));
  return static_cast<ValueId>(graph_.values.size() - 1);
}

ValueId Builder::StepBlockValue() {
  if (step_block_ == kNoValue) step_block_ = EnsureStepBlock(graph_);
  return step_block_;
}

std::vector<ValueId> Builder::Append(OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                                     const std::string& name) {
  const int number = ++counts_[kind];
  return AppendOp(graph_, kind, std::move(inputs), std::move(attributes),
                  name.empty() ? fmt::format("{}{}", graph::Name(kind), number) : name);
}

ValueId Builder::Input(const std::string& name, const Shape& shape, DType dtype) {
  const Shape batched = shape.Batched(batch_);
  // Losses ask for "label" each: the same input serves all.
  if (const ValueId id = graph_.Find(name); id != kNoValue && graph_.value(id).role == Role::kInput) {
    const Value& value = graph_.value(id);
    if (value.shape == batched && value.dtype == dtype) return id;
    throw Error(ErrorKind::kUsage,
                fmt::format("input {} is used as {} {} and as {} {}", name, lockstep::Name(value.dtype),
                            value.shape.ToString(), lockstep::Name(dtype), batched.ToString()),
                name);
  }
  return NewValue({.name = name, .shape = batched, .dtype = dtype, .role = Role::kInput});
}

ValueId Builder::Parameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay) {
  const ValueId id = NewValue({.name = name, .shape = shape, .dtype = DType::kF32, .role = Role::kParameter});
  graph_.parameters.push_back(id);
  infos_.push_back({.value = id, .initializer = initializer, .decay = decay});
  return id;
}

ValueId Builder::SharedParameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay) {
  const ValueId known = graph_.Find(name);
  return known != kNoValue ? known : Parameter(name, shape, initializer, decay);
}

ValueId Builder::LayerParameter(const std::string& name, const Shape& shape, Initializer initializer, bool decay,
                                bool shared) {
  return shared ? SharedParameter(name, shape, initializer, decay) : Parameter(name, shape, initializer, decay);
}

ValueId Builder::Statistic(const std::string& name, const Shape& shape, float start) {
  const ValueId id = NewValue({.name = name, .shape = shape, .dtype = DType::kF32, .role = Role::kStatistic});
  graph_.statistics.push_back(id);
  infos_.push_back({.value = id, .initializer = {.value = start, .deviation = 0}, .decay = false});
  return id;
}

ValueId Builder::Buffer(const std::string& name, const Shape& shape, std::vector<float> values) {
  CHECK(static_cast<int64_t>(values.size()) == shape.size(), "{} has {} values", name, values.size());
  const ValueId id = Statistic(name, shape, 0);
  infos_.back().values = std::move(values);
  return id;
}

ValueId Builder::FindParameter(const std::string& name) const {
  const ValueId id = graph_.Find(name);
  if (id == kNoValue) return id;
  const Role role = graph_.value(id).role;
  return role == Role::kParameter || role == Role::kStatistic ? id : kNoValue;
}

ValueId Builder::State(const std::string& name, const Shape& shape) {
  return NewValue({.name = name, .shape = shape.Batched(batch_), .dtype = DType::kF32, .role = Role::kState});
}

void Builder::NextState(const std::string& name, ValueId value) { Output(kNextState + name, value); }

ValueId Builder::Linear(ValueId x, const std::string& name, int64_t out, bool bias, Initializer weight,
                        Initializer bias_start) {
  RequireRows(name, shape(x));
  const int64_t in = shape(x).dim(-1);
  const ValueId w = Parameter(name + ".weight", {out, in}, weight, true);
  const ValueId b = bias ? Parameter(name + ".bias", {out}, bias_start, false) : kNoValue;
  return Append(OpKind::kLinear, {x, w, b}, LinearAttributes{}, name)[0];
}

ValueId Builder::Conv1d(ValueId x, const std::string& name, const Conv1dLayer& layer) {
  const WindowsAttributes attributes{.kernel = layer.kernel, .stride = layer.stride, .padding = layer.padding};
  const ValueId windows = Append(OpKind::kWindows, {x}, attributes, name + "/windows")[0];
  return Linear(windows, name, layer.out, layer.bias, layer.weight);
}

std::vector<ValueId> Builder::Recurrent(OpKind kind, ValueId x, const std::string& name, const RecurrentLayer& layer) {
  RequireRows(name, shape(x));
  RequirePositive(name, {layer.hidden});
  const std::string suffix = fmt::format("_l{}{}", layer.layer, layer.reverse ? "_reverse" : "");
  const Initializer initializer{.uniform = static_cast<float>(1 / std::sqrt(static_cast<double>(layer.hidden)))};
  const int64_t rows = (kind == OpKind::kLstm ? 4 : 3) * layer.hidden;
  const ValueId from_x = Parameter(name + ".weight_ih" + suffix, {rows, shape(x).dim(-1)}, initializer, true);
  const ValueId from_h = Parameter(name + ".weight_hh" + suffix, {rows, layer.hidden}, initializer, true);
  const ValueId bias_x = Parameter(name + ".bias_ih" + suffix, {rows}, initializer, false);
  const ValueId bias_h = Parameter(name + ".bias_hh" + suffix, {rows}, initializer, false);
  const ValueId z = Append(OpKind::kLinear, {x, from_x, bias_x}, LinearAttributes{}, name + ".gates" + suffix)[0];
  std::vector<ValueId> inputs = {z, from_h, bias_h, layer.length, layer.start.hidden};
  if (kind == OpKind::kLstm) inputs.push_back(layer.start.cell);
  return Append(kind, std::move(inputs), RecurrentAttributes{layer.reverse}, name + suffix);
}

ValueId Builder::Lstm(ValueId x, const std::string& name, const RecurrentLayer& layer, RecurrentStates* last) {
  const std::vector<ValueId> out = Recurrent(OpKind::kLstm, x, name, layer);
  if (last != nullptr) *last = {.hidden = out[2], .cell = out[3]};
  return out[0];
}

ValueId Builder::Gru(ValueId x, const std::string& name, const RecurrentLayer& layer, RecurrentStates* last) {
  const std::vector<ValueId> out = Recurrent(OpKind::kGru, x, name, layer);
  if (last != nullptr) *last = {.hidden = out[2], .cell = kNoValue};
  return out[0];
}

ValueId Builder::Conv2d(ValueId x, const std::string& name, const Conv2dLayer& layer) {
  RequireImages(name, shape(x));
  const int64_t channels = shape(x).dim(3);
  RequireGroups(name, channels, layer.out, layer.groups);
  const Shape weight{layer.out, channels / layer.groups, layer.kernel.height, layer.kernel.width};
  const ValueId w = LayerParameter(name + ".weight", weight, layer.weight, true, layer.shared);
  const ValueId b =
      layer.bias ? LayerParameter(name + ".bias", {layer.out}, layer.bias_start, false, layer.shared) : kNoValue;
  const Conv2dAttributes attributes{
      .stride = layer.stride, .padding = layer.padding, .groups = layer.groups, .dilation = layer.dilation};
  return Append(OpKind::kConv2d, {x, w, b}, attributes, name)[0];
}

ValueId Builder::ConvTranspose2d(ValueId x, const std::string& name, const ConvTranspose2dLayer& layer) {
  RequireImages(name, shape(x));
  const Shape in = shape(x);
  RequireGroups(name, in.dim(3), layer.out, layer.groups);
  const Pair stride = layer.stride, extra = layer.output_padding;
  if (extra.height < 0 || extra.width < 0 || extra.height >= stride.height || extra.width >= stride.width) {
    throw Error(ErrorKind::kUsage,
                fmt::format("output padding {} with a stride of {}", ToString(extra), ToString(stride)), name,
                "output padding is less than the stride");
  }
  const int64_t height = (in.dim(1) - 1) * stride.height - 2 * layer.padding.height +
                         layer.dilation.height * (layer.kernel.height - 1) + extra.height + 1;
  const int64_t width = (in.dim(2) - 1) * stride.width - 2 * layer.padding.width +
                        layer.dilation.width * (layer.kernel.width - 1) + extra.width + 1;
  const Shape result{in.dim(0), height, width, layer.out};
  RequirePositive(name, result);
  const Shape weight{in.dim(3), layer.out / layer.groups, layer.kernel.height, layer.kernel.width};
  const Initializer start{.uniform = static_cast<float>(
                              1 / std::sqrt(static_cast<double>(weight.size()) / static_cast<double>(weight.dim(0))))};
  const ValueId w = Parameter(name + ".weight", weight, start, true);
  const Conv2dAttributes attributes{
      .stride = stride, .padding = layer.padding, .groups = layer.groups, .result = result, .dilation = layer.dilation};
  return Append(OpKind::kConv2dInputGrad, {x, w}, attributes, name)[0];
}

ValueId Builder::BatchNorm(ValueId x, const std::string& name, float epsilon, float momentum, float weight_start) {
  RequireRows(name, shape(x));
  const Shape channels{shape(x).dim(-1)};
  const ValueId weight = Parameter(name + ".weight", channels, {.value = weight_start, .deviation = 0}, false);
  const ValueId bias = Parameter(name + ".bias", channels, {}, false);
  const ValueId mean = Statistic(name + ".running_mean", channels, 0);
  const ValueId variance = Statistic(name + ".running_var", channels, 1);
  const NormAttributes attributes{.epsilon = epsilon, .activation = Activation::kNone};
  if (mode_ != Mode::kTrain)
    return Append(OpKind::kBatchNormInfer, {x, weight, bias, mean, variance}, attributes, name)[0];
  const std::vector<ValueId> out = Append(OpKind::kBatchNormTrain, {x, weight, bias}, attributes, name);
  graph_.statistic_updates.push_back({.statistic = mean, .lane_value = out[1], .momentum = momentum});
  graph_.statistic_updates.push_back({.statistic = variance, .lane_value = out[2], .momentum = momentum});
  return out[0];
}

ValueId Builder::FrozenBatchNorm(ValueId x, const std::string& name, float epsilon) {
  RequireRows(name, shape(x));
  const Shape channels{shape(x).dim(-1)};
  const ValueId weight = Statistic(name + ".weight", channels, 1);
  const ValueId bias = Statistic(name + ".bias", channels, 0);
  const ValueId mean = Statistic(name + ".running_mean", channels, 0);
  const ValueId variance = Statistic(name + ".running_var", channels, 1);
  return Append(OpKind::kBatchNormInfer, {x, weight, bias, mean, variance},
                NormAttributes{.epsilon = epsilon, .activation = Activation::kNone}, name)[0];
}

ValueId Builder::LayerNorm(ValueId x, const std::string& name, float epsilon, bool with_bias) {
  RequireRows(name, shape(x));
  const Shape channels{shape(x).dim(-1)};
  const ValueId weight = Parameter(name + ".weight", channels, {.value = 1, .deviation = 0}, false);
  const ValueId bias = with_bias ? Parameter(name + ".bias", channels, {}, false) : kNoValue;
  return Append(OpKind::kLayerNorm, {x, weight, bias},
                NormAttributes{.epsilon = epsilon, .activation = Activation::kNone}, name)[0];
}

ValueId Builder::GroupNorm(ValueId x, const std::string& name, int groups, float epsilon, bool shared) {
  RequireImages(name, shape(x));
  const Shape channels{shape(x).dim(3)};
  const ValueId weight = LayerParameter(name + ".weight", channels, {.value = 1, .deviation = 0}, false, shared);
  const ValueId bias = LayerParameter(name + ".bias", channels, {}, false, shared);
  return Append(OpKind::kGroupNorm, {x, weight, bias}, GroupNormAttributes{.groups = groups, .epsilon = epsilon},
                name)[0];
}

ValueId Builder::RmsNorm(ValueId x, const std::string& name, float epsilon) {
  RequireRows(name, shape(x));
  const ValueId weight = Parameter(name + ".weight", {shape(x).dim(-1)}, {.value = 1, .deviation = 0}, false);
  return Append(OpKind::kRmsNorm, {x, weight}, NormAttributes{.epsilon = epsilon, .activation = Activation::kNone},
                name)[0];
}

ValueId Builder::Activate(ValueId x, Activation activation) {
  if (activation == Activation::kNone) return x;
  const std::string name = fmt::format("{}{}", graph::Name(activation), ++counts_[OpKind::kActivation]);
  return AppendOp(graph_, OpKind::kActivation, {x}, ActivationAttributes{activation}, name)[0];
}

ValueId Builder::Dropout(ValueId x, float probability, const std::string& name) {
  const uint32_t key = next_layer_key_++;  // given in every mode: keys don't depend on it
  if (mode_ != Mode::kTrain || probability == 0) return x;
  return Append(OpKind::kDropout, {x, StepBlockValue()},
                DropoutAttributes{.probability = probability, .layer_key = key}, name)[0];
}

ValueId Builder::Flatten(ValueId x) {
  const Shape from = shape(x);
  if (from.rank() == 2) return x;
  RequireImages("flatten", from);
  // Where no element moves a reshape does, which costs nothing.
  if (from.dim(3) == 1 || from.dim(1) * from.dim(2) == 1) return Reshape(x, {from.dim(0), from.size() / from.dim(0)});
  return Append(OpKind::kFlatten, {x}, NoAttributes{}, "")[0];
}

std::string Builder::LossSuffix() const {
  return graph_.losses.empty() ? "" : fmt::format("{}", graph_.losses.size() + 1);
}

std::vector<ValueId> Builder::AddLoss(OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                                      const std::string& name, float weight) {
  if (graph_.losses.size() == StepBlock::kMaxLosses)
    throw Error(ErrorKind::kUsage, fmt::format("a model has at most {} losses", +StepBlock::kMaxLosses), name);
  const auto set_index = [index = static_cast<int>(graph_.losses.size())](auto& of_kind) {
    if constexpr (requires { of_kind.loss; }) of_kind.loss = index;
  };
  std::visit(set_index, attributes);
  std::vector<ValueId> results = Append(kind, std::move(inputs), std::move(attributes), name);
  graph_.losses.push_back({.name = name, .sum = results[0], .weight = weight});
  return results;
}

void Builder::AddCounter(const std::string& name, ValueId count) {
  const size_t losses = graph_.losses.size();
  graph_.counters.push_back({.name = losses > 1 ? fmt::format("{}{}", name, losses) : name, .count = count});
}

void Builder::SoftmaxCrossEntropy(ValueId logits, float label_smoothing, RowTargets targets) {
  if (mode_ == Mode::kInfer) return;
  RequireRows("loss", shape(logits));
  const std::span<const int64_t> rows = shape(logits).dims();
  const Shape of_sample(rows.subspan(1, rows.size() - 2));
  const ValueId label = Input("label", of_sample, DType::kI32);
  std::vector<ValueId> inputs{logits, label};
  if (targets != RowTargets::kLabel) inputs.push_back(Input("weight", of_sample, DType::kF32));
  if (targets == RowTargets::kMixed) {
    inputs.push_back(Input("other_label", of_sample, DType::kI32));
    inputs.push_back(Input("other_weight", of_sample, DType::kF32));
  }
  const std::string suffix = LossSuffix();
  const std::vector<ValueId> results = AddLoss(OpKind::kSoftmaxCrossEntropy, std::move(inputs),
                                               LossAttributes{.label_smoothing = label_smoothing}, "loss" + suffix);
  graph_.counters.push_back({.name = "correct" + suffix, .count = results[2]});
}

void Builder::MeanSquaredError(ValueId prediction) {
  if (mode_ == Mode::kInfer) return;
  RequireRows("loss", shape(prediction));
  const ValueId target = Input("target", {shape(prediction).dim(-1)}, DType::kF32);
  const ValueId mask = Input("mask", {}, DType::kF32);
  AddLoss(OpKind::kMeanSquaredError, {prediction, target, mask}, LossAttributes{}, "loss" + LossSuffix());
}

void Builder::Ctc(ValueId logits, ValueId label, ValueId length, ValueId label_length) {
  if (mode_ == Mode::kInfer) return;
  const std::string suffix = LossSuffix();
  const std::vector<ValueId> results =
      AddLoss(OpKind::kCtc, {logits, label, length, label_length}, CtcAttributes{}, "loss" + suffix);
  graph_.counters.push_back({.name = "impossible" + suffix, .count = results[2]});
}

void Builder::FocalLoss(const std::string& name, ValueId logits, ValueId target, ValueId mask,
                        const FocalAttributes& attributes) {
  if (mode_ == Mode::kInfer) return;
  AddLoss(OpKind::kFocalLoss, {logits, target, mask}, attributes, name);
}

void Builder::BoxLoss(const std::string& name, ValueId sides, ValueId target, ValueId weight,
                      const BoxLossAttributes& attributes) {
  if (mode_ == Mode::kInfer) return;
  AddLoss(OpKind::kBoxLoss, {sides, target, weight}, attributes, name);
}

void Builder::SigmoidCrossEntropy(const std::string& name, ValueId logits, ValueId target, ValueId weight) {
  if (mode_ == Mode::kInfer) return;
  AddLoss(OpKind::kSigmoidCrossEntropy, {logits, target, weight}, LossAttributes{}, name);
}

void Builder::Output(const std::string& name, ValueId value) { graph_.outputs[name] = value; }

Graph Builder::Finish() { return std::move(graph_); }

}  // namespace lockstep::graph

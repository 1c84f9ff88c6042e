// Layers of one's own, one after the other, with residual branches.
#include <fmt/format.h>

#include <cmath>
#include <map>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

namespace {

class StackBuilder {
 public:
  StackBuilder(Builder& builder, int outputs) : builder_(builder), outputs_(static_cast<uint64_t>(outputs)) {}

  /// `field` names the stack in the recipe, `prefix` its parameters.
  ValueId Stack(ValueId x, const LayerStack& stack, const std::string& field, const std::string& prefix) {
    if (stack.layer_size() == 0) Fail(field + ".layer", "is required");
    for (int i = 0; i < stack.layer_size(); ++i) {
      x = OneLayer(x, stack.layer(i), fmt::format("{}.layer[{}]", field, i), prefix);
    }
    return x;
  }

 private:
  ValueId OneLayer(ValueId x, const Layer& layer, const std::string& field, const std::string& prefix) {
    RequireName(layer.name(), field);
    switch (layer.kind_case()) {
      case Layer::kLinear: {
        const Linear& linear = layer.linear();
        return AddLinear(builder_, x, Name(layer, "linear", prefix),
                         linear.features() == 0 ? outputs_ : linear.features(), !linear.has_bias() || linear.bias(),
                         field + ".linear.features");
      }
      case Layer::kConv:
        return AddConv(builder_, x, Name(layer, "conv", prefix), ShapeOf(layer.conv(), field + ".conv"),
                       field + ".conv");
      case Layer::kMaxPool:
        return PoolLayer(x, PoolKind::kMax, layer.max_pool(), field + ".max_pool");
      case Layer::kAveragePool:
        return PoolLayer(x, PoolKind::kAverage, layer.average_pool(), field + ".average_pool");
      case Layer::kGlobalAveragePool:
        RequireImages(field + ".global_average_pool", builder_.shape(x));
        return builder_.GlobalAveragePool(x);
      case Layer::kBatchNorm: {
        NormShape norm;
        if (layer.batch_norm().has_epsilon()) norm.epsilon = layer.batch_norm().epsilon();
        if (layer.batch_norm().has_momentum()) norm.momentum = layer.batch_norm().momentum();
        return AddBatchNorm(builder_, x, Name(layer, "batch_norm", prefix), norm, field + ".batch_norm");
      }
      case Layer::kLayerNorm: {
        const double epsilon = layer.layer_norm().has_epsilon() ? layer.layer_norm().epsilon() : 1e-5;
        if (!(epsilon > 0 && std::isfinite(epsilon))) {
          Fail(field + ".layer_norm.epsilon", fmt::format("{} is not a number > 0", epsilon));
        }
        return builder_.LayerNorm(x, Name(layer, "layer_norm", prefix), static_cast<float>(epsilon));
      }
      case Layer::kActivation:
        return builder_.Activate(x, ToGraph(layer.activation()));
      case Layer::kDropout:
        RequireProbability(field + ".dropout", layer.dropout());
        return layer.dropout() > 0 ? builder_.Dropout(x, static_cast<float>(layer.dropout())) : x;
      case Layer::kFlatten:
        return builder_.Flatten(x);
      case Layer::kResidual:
        return Residual(x, layer, field + ".residual", prefix);
      case Layer::KIND_NOT_SET:
        break;
    }
    Fail(field, "does not say what the layer is", "add one of linear, conv, max_pool, batch_norm, activation, ...");
  }

  ValueId Residual(ValueId x, const Layer& layer, const std::string& field, const std::string& prefix) {
    const ValueId y = Stack(x, layer.residual(), field, layer.name().empty() ? prefix : prefix + layer.name() + ".");
    if (builder_.shape(y) != builder_.shape(x)) {
      Fail(field, fmt::format("its layers make {} of {}, which can't be added to it", SampleText(builder_.shape(y)),
                              SampleText(builder_.shape(x))));
    }
    return builder_.Add(y, x);
  }

  ValueId PoolLayer(ValueId x, PoolKind kind, const Pool& pool, const std::string& field) {
    const graph::Pair kernel = PairOf(field + ".kernel", pool.kernel(), 2);
    return AddPool(builder_, x, kind,
                   {.kernel = kernel,
                    .stride = PairOf(field + ".stride", pool.stride(), kernel),
                    .padding = PairOf(field + ".padding", pool.padding(), 0)},
                   field);
  }

  static ConvShape ShapeOf(const Conv& conv, const std::string& field) {
    const graph::Pair kernel = PairOf(field + ".kernel", conv.kernel(), 3);
    return {.channels = conv.channels(),
            .kernel = kernel,
            .stride = PairOf(field + ".stride", conv.stride(), 1),
            .padding = PairOf(field + ".padding", conv.padding(), {kernel.height / 2, kernel.width / 2}),
            .groups = conv.groups() == 0 ? 1 : conv.groups(),
            .bias = !conv.has_bias() || conv.bias(),
            .dilation = PairOf(field + ".dilation", conv.dilation(), 1)};
  }

  /// The name given, or kind and number.
  std::string Name(const Layer& layer, const std::string& kind, const std::string& prefix) {
    const std::string base = prefix + kind;
    const int number = ++counts_[base];
    return layer.name().empty() ? fmt::format("{}{}", base, number) : prefix + layer.name();
  }

  static void RequireName(const std::string& name, const std::string& field) {
    for (const char c : name) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (plain || c == '_' || c == '.' || c == '-') continue;
      Fail(field + ".name", fmt::format("\"{}\" has a character other than letters, digits, '_', '.' and '-'", name));
    }
  }

  Builder& builder_;
  const uint64_t outputs_;
  std::map<std::string, int> counts_;
};

}  // namespace

ValueId BuildLayerStack(Builder& builder, ValueId x, const LayerStack& config, int outputs) {
  x = StackBuilder(builder, outputs).Stack(x, config, "model.layers", "");
  const Shape expected{builder.batch(), outputs};
  if (builder.shape(x) != expected) {
    Fail("model.layers",
         fmt::format("the last layer makes {} of a sample, the data asks for [{}]", SampleText(builder.shape(x)),
                     outputs),
         "end with layer { flatten {} } and layer { linear {} }");
  }
  return x;
}

}  // namespace lockstep::models

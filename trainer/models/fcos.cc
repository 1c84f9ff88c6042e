// FCOS on a feature pyramid (Tian et al. 2019; Lin et al. 2017), with torchvision's parameter names and first values:
// "backbone.fpn.inner_blocks.0.0.weight", "head.regression_head.conv.0.weight".
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::Initializer;
using graph::ValueId;

namespace {

const std::string kFamily = "model.detector";

/// Numbers of the recipe, defaults filled in.
struct FcosShape {
  int64_t channels = 256;
  uint64_t convolutions = 4;
  int groups = 32;
  float box_weight = 1;
  bool frozen_norms = true;
};

FcosShape ShapeOf(const Detector& config) {
  if (config.strides_size() > 0) Fail(kFamily + ".strides", "fcos has its own: 8, 16, 32, 64, 128", "remove it");
  FcosShape shape;
  if (config.neck() > 0) shape.channels = config.neck();
  RequireRange(kFamily + ".neck", static_cast<uint64_t>(shape.channels), 1, kMaxWidth);
  if (config.has_head()) shape.convolutions = config.head();
  RequireRange(kFamily + ".head", shape.convolutions, 0, 64);
  if (config.fcos().groups() > 0) {
    RequireRange(kFamily + ".fcos.groups", config.fcos().groups(), 1, kMaxWidth);
    shape.groups = static_cast<int>(config.fcos().groups());
  }
  if (shape.channels % shape.groups != 0)
    Fail(kFamily + ".fcos.groups", fmt::format("{} channels can't be cut into {} groups", shape.channels, shape.groups),
         "set a number that model.detector.neck is a multiple of");
  if (config.has_box_weight()) shape.box_weight = static_cast<float>(config.box_weight());
  if (!(shape.box_weight >= 0 && shape.box_weight < 1e6f))
    Fail(kFamily + ".box_weight", fmt::format("{} is no weight", config.box_weight()));
  if (config.fcos().has_frozen_batch_norm()) shape.frozen_norms = config.fcos().frozen_batch_norm();
  return shape;
}

class FcosParts {
 public:
  FcosParts(Builder& builder, const Detector& config) : builder_(builder), config_(config), shape_(ShapeOf(config)) {}

  const FcosShape& shape() const { return shape_; }

  /// The backbone's maps of strides 8, 16 and 32, joined from the coarsest on, and two coarser ones.
  std::vector<ValueId> Pyramid(ValueId x) {
    ResNet resnet = config_.backbone().resnet();
    if (!config_.backbone().has_resnet()) resnet.set_depth(50);
    if (resnet.stem() == Stem::AUTO) resnet.set_stem(Stem::IMAGENET);
    const std::string field = kFamily + ".backbone.resnet";
    std::vector<ValueId> maps;
    for (const ResNetStage& stage : BuildResNetStages(
             builder_, x, resnet, {.prefix = "backbone.body.", .field = field, .frozen_norms = shape_.frozen_norms}))
      if (stage.stride == kFcosStride << maps.size()) maps.push_back(stage.value);
    if (maps.size() != 3) Fail(field, "fcos needs maps of strides 8, 16 and 32", "use depth: 50, 34 or 18");
    ValueId joined = graph::kNoValue;
    for (size_t i = maps.size(); i-- > 0;) {
      const ValueId lateral = PyramidConv(maps[i], fmt::format("inner_blocks.{}.0", i), 1, 1);
      const Shape shape = builder_.shape(lateral);
      joined = joined == graph::kNoValue
                   ? lateral
                   : builder_.Add(lateral, builder_.ResizeNearest(joined, shape.dim(1), shape.dim(2)));
      maps[i] = PyramidConv(joined, fmt::format("layer_blocks.{}.0", i), 3, 1);
    }
    maps.push_back(PyramidConv(maps.back(), "extra_blocks.p6", 3, 2));
    maps.push_back(PyramidConv(builder_.Activate(maps.back(), graph::Activation::kRelu), "extra_blocks.p7", 3, 2));
    return maps;
  }

  /// One of the two branches of convolutions, on one of the maps.
  ValueId Branch(ValueId x, const std::string& name) {
    constexpr float kEpsilon = 1e-5f;
    for (uint64_t i = 0; i < shape_.convolutions; ++i) {
      x = HeadConv(x, fmt::format("{}.conv.{}", name, 3 * i), shape_.channels, 0);
      x = builder_.GroupNorm(x, fmt::format("{}.conv.{}", name, 3 * i + 1), shape_.groups, kEpsilon, /*shared=*/true);
      x = builder_.Activate(x, graph::Activation::kRelu);
    }
    return x;
  }

  /// The same parameters serve all maps.
  ValueId HeadConv(ValueId x, const std::string& name, int64_t channels, float start) {
    return builder_.Conv2d(x, name,
                           {.out = channels,
                            .kernel = 3,
                            .padding = 1,
                            .weight = {.value = 0, .deviation = 0.01f},
                            .bias_start = {.value = start},
                            .shared = true});
  }

  /// The cells of all maps one behind the other: [batch, cells, channels].
  ValueId Join(const std::vector<ValueId>& maps) {
    const int64_t batch = builder_.batch(), channels = builder_.shape(maps.front()).dim(3);
    ValueId joined = graph::kNoValue;
    for (const ValueId map : maps) {
      const ValueId flat = builder_.Reshape(map, {batch, builder_.shape(map).size() / batch});
      joined = joined == graph::kNoValue ? flat : builder_.Concat(joined, flat);
    }
    return builder_.Reshape(joined, {batch, builder_.shape(joined).dim(1) / channels, channels});
  }

 private:
  /// Starts as torchvision's, uniform with variance 1 / fan-in.
  ValueId PyramidConv(ValueId x, const std::string& name, int kernel, int stride) {
    const auto fan_in = static_cast<double>(builder_.shape(x).dim(3) * kernel * kernel);
    return builder_.Conv2d(x, "backbone.fpn." + name,
                           {.out = shape_.channels,
                            .kernel = kernel,
                            .stride = stride,
                            .padding = kernel / 2,
                            .weight = {.uniform = static_cast<float>(std::sqrt(3 / fan_in))}});
  }

  Builder& builder_;
  const Detector& config_;
  const FcosShape shape_;
};

void RequireWholeCells(const Builder& builder, ValueId x) {
  RequireImages(kFamily, builder.shape(x));
  const int64_t height = builder.shape(x).dim(1), width = builder.shape(x).dim(2);
  if (height % 32 != 0 || width % 32 != 0)
    Fail(kFamily + ".fcos",
         fmt::format("needs heights and widths that are multiples of 32, not {} x {}", height, width),
         "set data.pictures.height and width to such");
}

}  // namespace

void BuildFcos(Builder& builder, ValueId x, const Detector& config, int classes) {
  constexpr double kPrior = 0.01;  // of a class in a cell, at first (Lin et al. 2017, "Focal Loss")
  const auto rare = static_cast<float>(-std::log((1 - kPrior) / kPrior));
  RequireWholeCells(builder, x);
  FcosParts parts(builder, config);
  const std::string class_head = "head.classification_head", side_head = "head.regression_head";
  std::vector<ValueId> class_maps, side_maps, centerness_maps;
  for (const ValueId map : parts.Pyramid(x)) {
    const ValueId of_classes = parts.Branch(map, class_head), of_sides = parts.Branch(map, side_head);
    class_maps.push_back(parts.HeadConv(of_classes, class_head + ".cls_logits", classes, rare));
    side_maps.push_back(parts.HeadConv(of_sides, side_head + ".bbox_reg", 4, 0));
    centerness_maps.push_back(parts.HeadConv(of_sides, side_head + ".bbox_ctrness", 1, 0));
  }
  const ValueId logits = parts.Join(class_maps), sides = parts.Join(side_maps),
                centerness = parts.Join(centerness_maps);
  if (builder.mode() != graph::Mode::kTrain) {
    builder.Output("class_logits", logits);
    builder.Output("side_values", sides);
    builder.Output("centerness_logits", centerness);
  }
  if (builder.mode() == graph::Mode::kInfer) return;
  const int64_t cells = builder.shape(sides).dim(1);
  const ValueId inside = builder.Input("inside", {cells}, DType::kF32);
  builder.FocalLoss("loss", logits, builder.Input("category", {cells}, DType::kI32),
                    builder.Input("mask", {}, DType::kF32), {.positive = 0.25f, .negative = 0.75f});
  builder.BoxLoss("box_loss", sides, builder.Input("sides", {cells, 4}, DType::kF32), inside,
                  {.exponential = false, .factor = parts.shape().box_weight});
  builder.SigmoidCrossEntropy("centerness_loss", builder.Reshape(centerness, {builder.batch(), cells}),
                              builder.Input("centerness", {cells}, DType::kF32), inside);
}

}  // namespace lockstep::models

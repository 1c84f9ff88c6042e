// A detector without anchors: a map of centres for each class, and four distances in each cell.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

namespace {

const std::string kFamily = "model.detector";

ResNet SmallBackbone() {
  ResNet small;
  for (const uint32_t blocks : {1, 1, 2}) small.add_blocks(blocks);
  for (const uint32_t width : {24, 48, 96}) small.add_widths(width);
  small.set_stem(Stem::HALVES);
  small.set_stem_width(16);
  return small;
}

std::vector<uint64_t> StridesOf(const Detector& config) {
  std::vector<uint64_t> strides(config.strides().begin(), config.strides().end());
  if (strides.empty()) strides = {8, 16};
  for (size_t i = 0; i < strides.size(); ++i) {
    const std::string field = fmt::format("{}.strides[{}]", kFamily, i);
    RequireRange(field, strides[i], 1, kMaxWindow);
    if (i > 0 && strides[i] != 2 * strides[i - 1])
      Fail(field, fmt::format("{} is not twice {}", strides[i], strides[i - 1]), "for example 8, 16, 32");
  }
  return strides;
}

/// The last of the backbone's maps of each stride.
std::map<uint64_t, ValueId> BuildBackbone(Builder& builder, ValueId x, const Detector& config) {
  const ResNet resnet = config.backbone().has_resnet() ? config.backbone().resnet() : SmallBackbone();
  std::map<uint64_t, ValueId> maps;
  for (const ResNetStage& stage :
       BuildResNetStages(builder, x, resnet, {.prefix = "backbone.", .field = kFamily + ".backbone.resnet"}))
    maps[stage.stride] = stage.value;
  return maps;
}

/// All maps at the first stride, added from the coarsest on.
ValueId BuildNeck(Builder& builder, const std::map<uint64_t, ValueId>& maps, const Detector& config) {
  const uint64_t channels = config.neck() > 0 ? config.neck() : 48;
  const std::vector<uint64_t> strides = StridesOf(config);
  ValueId joined = graph::kNoValue;
  for (auto stride = strides.rbegin(); stride != strides.rend(); ++stride) {
    const auto found = maps.find(*stride);
    if (found == maps.end())
      Fail(kFamily + ".strides", fmt::format("the backbone has no map of stride {}", *stride),
           fmt::format("it has {} to {}", maps.begin()->first, maps.rbegin()->first));
    const std::string name = fmt::format("neck.{}", *stride);
    const ValueId lateral = AddConvNorm(builder, found->second, name + ".conv", name + ".norm",
                                        SquareConv(channels, 1, 1), kFamily + ".neck");
    const Shape shape = builder.shape(lateral);
    joined = joined == graph::kNoValue
                 ? lateral
                 : builder.Add(lateral, builder.ResizeNearest(joined, shape.dim(1), shape.dim(2)));
  }
  return builder.Activate(joined, graph::Activation::kRelu);
}

ValueId BuildHead(Builder& builder, ValueId x, const Detector& config) {
  const uint64_t layers = config.has_head() ? config.head() : 2;
  const auto channels = static_cast<uint64_t>(builder.shape(x).dim(3));
  for (uint64_t i = 0; i < layers; ++i) {
    const std::string name = fmt::format("head.{}", i);
    x = AddConvNorm(builder, x, name + ".conv", name + ".norm", SquareConv(channels, 3, 1), kFamily + ".head");
    x = builder.Activate(x, graph::Activation::kRelu);
  }
  return x;
}

/// A convolution 1x1 that says something of each cell; `start` is what it says at first.
ValueId BuildAnswer(Builder& builder, ValueId x, const std::string& name, int64_t values, float start) {
  return builder.Conv2d(x, name,
                        {.out = values, .weight = {.value = 0, .deviation = 0.01f}, .bias_start = {.value = start}});
}

}  // namespace

void BuildDetector(Builder& builder, ValueId x, const Detector& config, int classes) {
  if (config.has_fcos()) return BuildFcos(builder, x, config, classes);
  constexpr double kPrior = 0.01;  // of a centre in a cell, at first (Lin et al. 2017, "Focal Loss")
  const double box_weight = config.has_box_weight() ? config.box_weight() : 2;
  if (!(box_weight >= 0 && box_weight < 1e6)) Fail(kFamily + ".box_weight", fmt::format("{} is no weight", box_weight));
  x = BuildHead(builder, BuildNeck(builder, BuildBackbone(builder, x, config), config), config);
  const auto rare = static_cast<float>(-std::log((1 - kPrior) / kPrior));
  const ValueId centers = BuildAnswer(builder, x, "centers", classes, rare);
  const ValueId sides = BuildAnswer(builder, x, "distances", 4, 1);
  if (builder.mode() != graph::Mode::kTrain) {
    builder.Output("center_logits", centers);
    builder.Output("side_logits", sides);
  }
  if (builder.mode() == graph::Mode::kInfer) return;
  const int64_t height = builder.shape(x).dim(1), width = builder.shape(x).dim(2);
  builder.FocalLoss("loss", centers, builder.Input("heat", {height, width, classes}, DType::kF32),
                    builder.Input("mask", {}, DType::kF32), {.clamp = 1e-4f});
  builder.BoxLoss("box_loss", sides, builder.Input("sides", {height, width, 4}, DType::kF32),
                  builder.Input("inside", {height, width}, DType::kF32), {.factor = static_cast<float>(box_weight)});
}

uint32_t DetectorStride(const Detector& config) {
  return config.has_fcos() ? kFcosStride : static_cast<uint32_t>(StridesOf(config).front());
}

}  // namespace lockstep::models

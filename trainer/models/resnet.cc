// Residual networks (He et al. 2015), with torchvision's parameter names: "layer1.0.conv1.weight",
// "layer2.0.downsample.1.bias". In bottlenecks the 3x3 convolution carries the stride, as in torchvision ("v1.5").
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "trainer/models/blocks.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

namespace {

const std::string kFamily = "model.resnet";

struct Layout {
  std::vector<int> blocks;  ///< of each stage
  std::vector<uint64_t> widths;
  bool bottleneck = false;
  bool imagenet = false;
};

/// Deeper CIFAR layouts than the paper's deepest are taken for a mistake.
constexpr uint32_t kMaxDepth = 1202;

Layout LayoutOf(const ResNet& config) {
  Layout layout;
  const uint32_t depth = config.depth();
  if (depth == 18 || depth == 34 || depth == 50) {
    layout.blocks = depth == 18 ? std::vector{2, 2, 2, 2} : std::vector{3, 4, 6, 3};
    layout.widths = {64, 128, 256, 512};
    layout.bottleneck = depth == 50;
    layout.imagenet = true;
  } else if (depth >= 8 && depth <= kMaxDepth && depth % 6 == 2) {
    layout.blocks.assign(3, static_cast<int>(depth - 2) / 6);
    layout.widths = {16, 32, 64};
  } else {
    Fail(kFamily + ".depth", depth == 0 ? "is required" : fmt::format("there is no layout of depth {}", depth),
         "18, 34, 50, or 6n + 2: 8, 14, 20, 26, 32, 44, 56, 110");
  }
  if (config.widths_size() == 0) return layout;
  if (static_cast<size_t>(config.widths_size()) != layout.widths.size()) {
    Fail(kFamily + ".widths",
         fmt::format("{} are given, depth {} has {} stages", config.widths_size(), depth, layout.widths.size()));
  }
  layout.widths.assign(config.widths().begin(), config.widths().end());
  for (int i = 0; i < config.widths_size(); ++i) {
    RequireRange(fmt::format("{}.widths[{}]", kFamily, i), config.widths(i), 1, kMaxWidth);
  }
  return layout;
}

ValueId ConvNorm(Builder& builder, ValueId x, const std::string& conv, const std::string& norm, const ConvShape& shape,
                 float norm_start) {
  x = AddConv(builder, x, conv, shape, kFamily);
  return AddBatchNorm(builder, x, norm, {.weight_start = norm_start}, kFamily);
}

ConvShape Square(uint64_t channels, uint64_t kernel, uint64_t stride) {
  return {.channels = channels, .kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false};
}

ValueId AddStem(Builder& builder, ValueId x, const ResNet& config, const Layout& layout) {
  Stem::Value stem = config.stem();
  if (stem == Stem::AUTO) {
    const int64_t side = std::min(builder.shape(x).dim(1), builder.shape(x).dim(2));
    stem = layout.imagenet && side >= 64 ? Stem::IMAGENET : Stem::CIFAR;
  }
  const bool large = stem == Stem::IMAGENET;
  x = ConvNorm(builder, x, "conv1", "bn1", Square(layout.widths[0], large ? 7 : 3, large ? 2 : 1), 1);
  x = builder.Activate(x, graph::Activation::kRelu);
  if (stem == Stem::POOL) return AddPool(builder, x, PoolKind::kMax, 2, 2, 0, kFamily + ".stem");
  if (large) return AddPool(builder, x, PoolKind::kMax, 3, 2, 1, kFamily + ".stem");
  return x;
}

ValueId AddShortcut(Builder& builder, ValueId x, const std::string& name, uint64_t channels, uint64_t stride,
                    Shortcut::Value kind) {
  const auto in = static_cast<uint64_t>(builder.shape(x).dim(3));
  if (in == channels && stride == 1) return x;
  if (kind == Shortcut::PROJECTION) {
    return ConvNorm(builder, x, name + ".downsample.0", name + ".downsample.1", Square(channels, 1, stride), 1);
  }
  if (in > channels) {
    Fail(kFamily + ".shortcut", fmt::format("a padded identity can't lead from {} to {} channels", in, channels),
         "use PROJECTION, or widths that grow");
  }
  return builder.PadChannels(x, static_cast<int>(stride), static_cast<int64_t>(channels));
}

ValueId AddBlock(Builder& builder, ValueId x, const std::string& name, uint64_t width, uint64_t stride, bool bottleneck,
                 const ResNet& config) {
  const float last = config.has_zero_init_residual() && !config.zero_init_residual() ? 1 : 0;
  const auto relu = graph::Activation::kRelu;
  ValueId y = x;
  if (bottleneck) {
    y = builder.Activate(ConvNorm(builder, y, name + ".conv1", name + ".bn1", Square(width, 1, 1), 1), relu);
    y = builder.Activate(ConvNorm(builder, y, name + ".conv2", name + ".bn2", Square(width, 3, stride), 1), relu);
    y = ConvNorm(builder, y, name + ".conv3", name + ".bn3", Square(4 * width, 1, 1), last);
  } else {
    y = builder.Activate(ConvNorm(builder, y, name + ".conv1", name + ".bn1", Square(width, 3, stride), 1), relu);
    y = ConvNorm(builder, y, name + ".conv2", name + ".bn2", Square(width, 3, 1), last);
  }
  const ValueId shortcut = AddShortcut(builder, x, name, bottleneck ? 4 * width : width, stride, config.shortcut());
  return builder.Activate(builder.Add(y, shortcut), relu);
}

}  // namespace

ValueId BuildResNet(Builder& builder, ValueId x, const ResNet& config, int outputs) {
  const Layout layout = LayoutOf(config);
  RequireImages(kFamily, builder.shape(x));
  x = AddStem(builder, x, config, layout);
  for (size_t stage = 0; stage < layout.blocks.size(); ++stage) {
    for (int block = 0; block < layout.blocks[stage]; ++block) {
      const uint64_t stride = stage > 0 && block == 0 ? 2 : 1;
      x = AddBlock(builder, x, fmt::format("layer{}.{}", stage + 1, block), layout.widths[stage], stride,
                   layout.bottleneck, config);
    }
  }
  x = builder.GlobalAveragePool(x);
  return AddLinear(builder, x, "fc", static_cast<uint64_t>(outputs), true, kFamily);
}

}  // namespace lockstep::models

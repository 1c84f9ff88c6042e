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

struct Layout {
  std::vector<uint64_t> blocks;  ///< of each stage
  std::vector<uint64_t> widths;
  bool bottleneck = false;
  bool imagenet = false;
};

/// Deeper CIFAR layouts than the paper's deepest are taken for a mistake.
constexpr uint32_t kMaxDepth = 1202;

/// What `depth` says.
Layout LayoutOfDepth(uint32_t depth, const std::string& field) {
  Layout layout;
  if (depth == 18 || depth == 34 || depth == 50) {
    layout.blocks = depth == 18 ? std::vector<uint64_t>{2, 2, 2, 2} : std::vector<uint64_t>{3, 4, 6, 3};
    layout.widths = {64, 128, 256, 512};
    layout.bottleneck = depth == 50;
    layout.imagenet = true;
  } else if (depth >= 8 && depth <= kMaxDepth && depth % 6 == 2) {
    layout.blocks.assign(3, (depth - 2) / 6);
    layout.widths = {16, 32, 64};
  } else {
    Fail(field + ".depth", depth == 0 ? "is required" : fmt::format("there is no layout of depth {}", depth),
         "18, 34, 50, or 6n + 2: 8, 14, 20, 26, 32, 44, 56, 110");
  }
  return layout;
}

/// What `blocks` say.
Layout LayoutOfBlocks(const ResNet& config, const std::string& field) {
  if (config.depth() > 0) Fail(field + ".blocks", "depth is given beside it", "remove one of them");
  if (config.widths_size() != config.blocks_size())
    Fail(field + ".widths", fmt::format("{} are given for {} stages", config.widths_size(), config.blocks_size()));
  Layout layout;
  for (int i = 0; i < config.blocks_size(); ++i) {
    RequireRange(fmt::format("{}.blocks[{}]", field, i), config.blocks(i), 1, kMaxDepth);
    layout.blocks.push_back(config.blocks(i));
  }
  layout.widths.resize(layout.blocks.size());
  return layout;
}

Layout LayoutOf(const ResNet& config, const std::string& field) {
  Layout layout = config.blocks_size() > 0 ? LayoutOfBlocks(config, field) : LayoutOfDepth(config.depth(), field);
  if (config.widths_size() == 0) return layout;
  if (static_cast<size_t>(config.widths_size()) != layout.widths.size()) {
    Fail(field + ".widths", fmt::format("{} are given, depth {} has {} stages", config.widths_size(), config.depth(),
                                        layout.widths.size()));
  }
  layout.widths.assign(config.widths().begin(), config.widths().end());
  for (int i = 0; i < config.widths_size(); ++i) {
    RequireRange(fmt::format("{}.widths[{}]", field, i), config.widths(i), 1, kMaxWidth);
  }
  return layout;
}

/// Builds the network's parts under names that begin with `prefix`.
class ResNetParts {
 public:
  ResNetParts(Builder& builder, const ResNet& config, const ResNetPlace& place)
      : builder_(builder),
        config_(config),
        prefix_(place.prefix),
        field_(place.field),
        frozen_(place.frozen_norms),
        layout_(LayoutOf(config, place.field)) {}

  std::vector<ResNetStage> Build(ValueId x) {
    ResNetStage stage = AddStem(x);
    std::vector<ResNetStage> stages;
    for (size_t i = 0; i < layout_.blocks.size(); ++i) {
      for (uint64_t block = 0; block < layout_.blocks[i]; ++block) {
        const int stride = block == 0 && (i > 0 || halves_) ? 2 : 1;
        stage.value =
            AddBlock(stage.value, fmt::format("{}layer{}.{}", prefix_, i + 1, block), layout_.widths[i], stride);
        stage.stride *= static_cast<uint64_t>(stride);
      }
      stages.push_back(stage);
    }
    return stages;
  }

 private:
  ResNetStage AddStem(ValueId x) {
    Stem::Value stem = config_.stem();
    if (stem == Stem::AUTO) {
      const int64_t side = std::min(builder_.shape(x).dim(1), builder_.shape(x).dim(2));
      stem = layout_.imagenet && side >= 64 ? Stem::IMAGENET : Stem::CIFAR;
    }
    halves_ = stem == Stem::HALVES;
    const bool large = stem == Stem::IMAGENET;
    const uint64_t width = config_.stem_width() > 0 ? config_.stem_width() : layout_.widths[0];
    RequireRange(field_ + ".stem_width", width, 1, kMaxWidth);
    const int stride = large || halves_ ? 2 : 1;
    x = ConvNorm(x, prefix_ + "conv1", prefix_ + "bn1", SquareConv(width, large ? 7 : 3, stride), 1);
    x = builder_.Activate(x, graph::Activation::kRelu);
    if (stem == Stem::POOL) return {AddPool(builder_, x, PoolKind::kMax, {}, field_ + ".stem"), 2};
    if (large) return {AddPool(builder_, x, PoolKind::kMax, {.kernel = 3, .padding = 1}, field_ + ".stem"), 4};
    return {x, static_cast<uint64_t>(stride)};
  }

  ValueId AddShortcut(ValueId x, const std::string& name, uint64_t channels, int stride) {
    const auto in = static_cast<uint64_t>(builder_.shape(x).dim(3));
    if (in == channels && stride == 1) return x;
    if (config_.shortcut() == Shortcut::PROJECTION) {
      return ConvNorm(x, name + ".downsample.0", name + ".downsample.1", SquareConv(channels, 1, stride), 1);
    }
    if (in > channels) {
      Fail(field_ + ".shortcut", fmt::format("a padded identity can't lead from {} to {} channels", in, channels),
           "use PROJECTION, or widths that grow");
    }
    return builder_.PadChannels(x, stride, static_cast<int64_t>(channels));
  }

  ValueId AddBlock(ValueId x, const std::string& name, uint64_t width, int stride) {
    const float last = config_.has_zero_init_residual() && !config_.zero_init_residual() ? 1 : 0;
    const auto relu = graph::Activation::kRelu;
    ValueId y = x;
    if (layout_.bottleneck) {
      y = builder_.Activate(ConvNorm(y, name + ".conv1", name + ".bn1", SquareConv(width, 1, 1), 1), relu);
      y = builder_.Activate(ConvNorm(y, name + ".conv2", name + ".bn2", SquareConv(width, 3, stride), 1), relu);
      y = ConvNorm(y, name + ".conv3", name + ".bn3", SquareConv(4 * width, 1, 1), last);
    } else {
      y = builder_.Activate(ConvNorm(y, name + ".conv1", name + ".bn1", SquareConv(width, 3, stride), 1), relu);
      y = ConvNorm(y, name + ".conv2", name + ".bn2", SquareConv(width, 3, 1), last);
    }
    const ValueId shortcut = AddShortcut(x, name, layout_.bottleneck ? 4 * width : width, stride);
    return builder_.Activate(builder_.Add(y, shortcut), relu);
  }

  ValueId ConvNorm(ValueId x, const std::string& conv, const std::string& norm, const ConvShape& shape, float start) {
    if (frozen_) return builder_.FrozenBatchNorm(AddConv(builder_, x, conv, shape, field_), norm, kFrozenEpsilon);
    return AddConvNorm(builder_, x, conv, norm, shape, field_, start);
  }

  static constexpr float kFrozenEpsilon = 1e-5f;

  Builder& builder_;
  const ResNet& config_;
  const std::string prefix_, field_;
  const bool frozen_;
  const Layout layout_;
  bool halves_ = false;  ///< the first stage too
};

}  // namespace

std::vector<ResNetStage> BuildResNetStages(Builder& builder, ValueId x, const ResNet& config,
                                           const ResNetPlace& place) {
  ResNetParts parts(builder, config, place);
  RequireImages(place.field, builder.shape(x));
  return parts.Build(x);
}

ValueId BuildResNet(Builder& builder, ValueId x, const ResNet& config, int outputs) {
  const std::string family = "model.resnet";
  x = builder.GlobalAveragePool(BuildResNetStages(builder, x, config, {.field = family}).back().value);
  return AddLinear(builder, x, "fc", static_cast<uint64_t>(outputs), true, family);
}

}  // namespace lockstep::models

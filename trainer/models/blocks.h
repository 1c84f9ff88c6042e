// What the families have in common: checks that name the recipe's field, initialisation, and layers built with both.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/graph/builder.h"
#include "trainer/models/model.pb.h"

namespace lockstep::models {

[[noreturn]] void Fail(const std::string& field, const std::string& message, const std::string& hint = "");
void RequireRange(const std::string& field, uint64_t value, uint64_t least, uint64_t most);
/// In [0, 1).
void RequireProbability(const std::string& field, double value);
/// "[8, 8, 3]": the shape of one sample of [batch, 8, 8, 3].
std::string SampleText(const Shape& batched);
/// That `x` is [batch, height, width, channels].
void RequireImages(const std::string& field, const Shape& x);

/// Widths and channels go up to this.
inline constexpr uint64_t kMaxWidth = 1 << 20;
/// Kernels, strides and padding go up to this.
inline constexpr uint64_t kMaxWindow = 1 << 12;

graph::Activation ToGraph(Activation activation);

struct ConvShape {
  uint64_t channels = 0;
  uint64_t kernel = 3;
  uint64_t stride = 1;
  uint64_t padding = 1;
  uint64_t groups = 1;
  bool bias = true;
};

/// Layers whose weights start as normal(0, sqrt(2 / fan_in)) (He et al. 2015) and whose biases start at 0. `field` is
/// what errors name, e.g. "model.convnet.stages[1]".
graph::ValueId AddLinear(graph::Builder& builder, graph::ValueId x, const std::string& name, uint64_t out, bool bias,
                         const std::string& field);
graph::ValueId AddConv(graph::Builder& builder, graph::ValueId x, const std::string& name, const ConvShape& conv,
                       const std::string& field);

enum class PoolKind { kMax, kAverage };
graph::ValueId AddPool(graph::Builder& builder, graph::ValueId x, PoolKind kind, uint64_t kernel, uint64_t stride,
                       uint64_t padding, const std::string& field);

struct NormShape {
  double epsilon = 1e-5;
  double momentum = 0.1;
  float weight_start = 1;
};
graph::ValueId AddBatchNorm(graph::Builder& builder, graph::ValueId x, const std::string& name, const NormShape& norm,
                            const std::string& field);

// The families: from the input to logits or predictions, [batch, outputs].
graph::ValueId BuildMlp(graph::Builder& builder, graph::ValueId x, const Mlp& config, int outputs);
graph::ValueId BuildConvNet(graph::Builder& builder, graph::ValueId x, const ConvNet& config, int outputs);
graph::ValueId BuildResNet(graph::Builder& builder, graph::ValueId x, const ResNet& config, int outputs);
/// From tokens i32 [batch, time] to logits [batch, time, vocabulary].
graph::ValueId BuildGpt(graph::Builder& builder, graph::ValueId tokens, const Gpt& config, int vocabulary);
graph::ValueId BuildLayerStack(graph::Builder& builder, graph::ValueId x, const LayerStack& config, int outputs);

}  // namespace lockstep::models

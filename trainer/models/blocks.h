// What the families have in common: checks that name the recipe's field, initialisation, and layers built with both.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

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
  graph::Pair kernel = 3, stride = 1, padding = 1;
  uint64_t groups = 1;
  bool bias = true;
  graph::Pair dilation = 1;
};
struct PoolShape {
  graph::Pair kernel = 2, stride = 2, padding = 0;
};
/// Height and width, from one number for both or one of each; `otherwise` where there is none.
graph::Pair PairOf(const std::string& field, const google::protobuf::RepeatedField<uint32_t>& numbers,
                   graph::Pair otherwise);

/// A convolution with zeros around that keeps the size, or divides it by `stride`, without bias.
ConvShape SquareConv(uint64_t channels, int kernel, int stride);

/// Layers whose weights start as normal(0, sqrt(2 / fan_in)) (He et al. 2015) and whose biases start at 0. `field` is
/// what errors name, e.g. "model.convnet.stages[1]".
graph::ValueId AddLinear(graph::Builder& builder, graph::ValueId x, const std::string& name, uint64_t out, bool bias,
                         const std::string& field);
graph::ValueId AddConv(graph::Builder& builder, graph::ValueId x, const std::string& name, const ConvShape& conv,
                       const std::string& field);

/// A layer whose weight and bias start as PyTorch's nn.Linear does: uniform within 1 / sqrt(fan_in).
graph::ValueId AddTorchLinear(graph::Builder& builder, graph::ValueId x, const std::string& name, int64_t out);

enum class PoolKind { kMax, kAverage };
graph::ValueId AddPool(graph::Builder& builder, graph::ValueId x, PoolKind kind, const PoolShape& pool,
                       const std::string& field);

struct NormShape {
  double epsilon = 1e-5;
  double momentum = 0.1;
  float weight_start = 1;
};
graph::ValueId AddBatchNorm(graph::Builder& builder, graph::ValueId x, const std::string& name, const NormShape& norm,
                            const std::string& field);
/// A convolution, and batch norm behind it.
graph::ValueId AddConvNorm(graph::Builder& builder, graph::ValueId x, const std::string& conv, const std::string& norm,
                           const ConvShape& shape, const std::string& field, float norm_start = 1);

/// A model that goes on from what it has read before, a few positions at a time (inference): caches of keys and values,
/// and the states of recurrent layers, are the graph's states.
struct Continuation {
  graph::ValueId first = graph::kNoValue;   ///< i32 [batch]: positions read before
  graph::ValueId length = graph::kNoValue;  ///< i32 [batch]: those, and the ones read now
  int64_t capacity = 0;                     ///< of the caches
  int64_t context = 0;                      ///< positions of the samples that the model was trained on
};

/// Self-attention, causal, of x [batch, t, width + 2 channels of keys] (q, k and v side by side) to the state
/// "NAME.cache".
graph::ValueId AttendToCache(graph::Builder& builder, graph::ValueId x, const std::string& name, int64_t width,
                             const graph::AttentionAttributes& attention, const Continuation& continuation);

/// Puts the embeddings of the input "categories", columns of so many `words`, behind x [batch, n].
graph::ValueId EmbedCategories(graph::Builder& builder, graph::ValueId x, const std::vector<int>& words,
                               const Mlp& config);

// The families: from the input to logits or predictions, [batch, outputs].
graph::ValueId BuildMlp(graph::Builder& builder, graph::ValueId x, const Mlp& config, int outputs);
graph::ValueId BuildConvNet(graph::Builder& builder, graph::ValueId x, const ConvNet& config, int outputs);
graph::ValueId BuildResNet(graph::Builder& builder, graph::ValueId x, const ResNet& config, int outputs);
/// What comes out of a stage of a residual network, and by how much height and width are divided there.
struct ResNetStage {
  graph::ValueId value = graph::kNoValue;
  uint64_t stride = 1;
};
/// Where a residual network stands in a model.
struct ResNetPlace {
  std::string prefix = {};    ///< of its parameters' names
  std::string field;          ///< what errors name: "model.resnet"
  bool frozen_norms = false;  ///< batch norm stays as it is (Builder::FrozenBatchNorm)
};
/// A residual network's stages in order, without what stands behind them.
std::vector<ResNetStage> BuildResNetStages(graph::Builder& builder, graph::ValueId x, const ResNet& config,
                                           const ResNetPlace& place);
/// Adds the losses of a detector of `classes` kinds of objects, with inputs "heat", "sides" and "inside" (data/boxes/
/// center_targets.h) and "mask", and the outputs "center_logits" [batch, h, w, classes] and "side_logits" [batch, h, w,
/// 4], logarithms of distances in cells. Of `fcos`, what BuildFcos says.
void BuildDetector(graph::Builder& builder, graph::ValueId x, const Detector& config, int classes);
/// Of the finest of FCOS's maps.
inline constexpr uint32_t kFcosStride = 8;
/// FCOS of five maps, whose cells stand one behind the other, the finest map's first, row by row. Adds its three
/// losses, with inputs "category", "sides", "centerness" and "inside" (data/boxes/fcos_targets.h) and "mask", and the
/// outputs "class_logits" [batch, cells, classes], "side_values" [batch, cells, 4], whose positive parts are distances
/// in cells, and "centerness_logits" [batch, cells, 1].
void BuildFcos(graph::Builder& builder, graph::ValueId x, const Detector& config, int classes);
/// From tokens i32 [batch, time] to logits [batch, time, vocabulary].
graph::ValueId BuildGpt(graph::Builder& builder, graph::ValueId tokens, const Gpt& config, int vocabulary,
                        const Continuation* continuation = nullptr);
/// The two halves of a translator. The encoder: from source i32 [batch, time] of `length` positions to the memory that
/// the decoder's layers attend to, by name ("decoder.layers.0.memory").
std::map<std::string, graph::ValueId> BuildEncoder(graph::Builder& builder, graph::ValueId source,
                                                   graph::ValueId length, const Seq2Seq& config, int vocabulary);
/// From tokens i32 [batch, time] to logits [batch, time, vocabulary]. `length`: of the source.
graph::ValueId BuildDecoder(graph::Builder& builder, graph::ValueId tokens,
                            const std::map<std::string, graph::ValueId>& memory, graph::ValueId length,
                            const Seq2Seq& config, int vocabulary, const Continuation* continuation = nullptr);
/// Names and shapes of the memory of a source of `positions`.
std::map<std::string, Shape> MemoryShapes(const Seq2Seq& config, int64_t positions);
/// From features [batch, time, channels] of `length` i32 [batch] positions to logits [batch, time, outputs].
graph::ValueId BuildRecurrent(graph::Builder& builder, graph::ValueId x, graph::ValueId length, const Recurrent& config,
                              int outputs);
graph::ValueId BuildLayerStack(graph::Builder& builder, graph::ValueId x, const LayerStack& config, int outputs);

}  // namespace lockstep::models

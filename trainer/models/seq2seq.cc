// The family seq2seq: an encoder that reads the source, a decoder that writes the target and attends to what the
// encoder made of it. As Transformers (pre-norm; Vaswani et al. 2017) or recurrent layers with attention (Luong et al.
// 2015, dot products; the first layer's attention feeds the further ones, as in Wu et al. 2016). Source, target and
// output share one embedding.
#include <fmt/format.h>

#include <cmath>

#include "trainer/models/blocks.h"

namespace lockstep::models {
namespace {

using graph::Builder;
using graph::Initializer;
using graph::kNoValue;
using graph::RecurrentLayer;
using graph::RecurrentStates;
using graph::ValueId;

using Memory = std::map<std::string, ValueId>;

constexpr float kEpsilon = 1e-5f;

std::string MemoryName(uint32_t layer) { return fmt::format("decoder.layers.{}.memory", layer); }

/// How many layers of the decoder attend to the encoder's memory: all of a Transformer's, the first of recurrent ones.
uint32_t MemoryLayers(const Seq2Seq& config) { return config.kind() == Seq2SeqKind::TRANSFORMER ? config.layers() : 1; }

/// What both halves are built of.
class Blocks {
 public:
  Blocks(Builder& builder, const Seq2Seq& config)
      : b_(builder),
        config_(config),
        width_(config.width()),
        heads_(static_cast<int>(std::max(1u, config.heads()))),
        inner_(config.inner() == 0 ? 4 * width_ : config.inner()) {}

 protected:
  bool transformer() const { return config_.kind() == Seq2SeqKind::TRANSFORMER; }

  /// The embedding that everything shares, made where it is first asked for.
  ValueId Table(int vocabulary) {
    const auto deviation = static_cast<float>(1 / std::sqrt(static_cast<double>(width_)));
    return b_.SharedParameter("embedding.weight", {vocabulary, width_}, {.value = 0, .deviation = deviation}, true);
  }

  ValueId Embed(ValueId tokens, const std::string& name, int vocabulary, const Continuation* continuation) {
    const ValueId first = transformer() && continuation != nullptr ? continuation->first : kNoValue;
    const int64_t positions = continuation != nullptr ? continuation->capacity : 0;
    const auto scale = static_cast<float>(std::sqrt(static_cast<double>(width_)));
    const graph::EmbeddingAttributes attributes{.scale = scale, .sinusoids = transformer(), .positions = positions};
    return Dropout(b_.Embedding(tokens, name, Table(vocabulary), kNoValue, attributes, first));
  }

  /// `parts` matrices of one input side by side, each within the bounds of Glorot and Bengio (2010).
  ValueId Linear(ValueId x, const std::string& name, int64_t out, int parts = 1) {
    const auto in = static_cast<double>(b_.shape(x).dim(-1));
    const int64_t rows = out / parts;
    const Initializer weight{.uniform = static_cast<float>(std::sqrt(6 / (in + static_cast<double>(rows))))};
    return b_.Linear(x, name, out, /*bias=*/true, weight, {.uniform = static_cast<float>(1 / std::sqrt(in))});
  }
  ValueId Normalise(ValueId x, const std::string& name) { return b_.LayerNorm(x, name, kEpsilon); }
  ValueId Dropout(ValueId x) {
    return config_.dropout() > 0 ? b_.Dropout(x, static_cast<float>(config_.dropout())) : x;
  }

  ValueId FeedForward(ValueId x, const std::string& name, const std::string& norm) {
    ValueId y = Normalise(x, name + norm);
    y = b_.Activate(Linear(y, name + ".linear1", inner_), graph::Activation::kRelu);
    return b_.Add(x, Dropout(Linear(y, name + ".linear2", width_)));
  }

  /// A layer of the cell that the recipe names.
  ValueId Recur(ValueId x, const std::string& name, const RecurrentLayer& layer, RecurrentStates* last = nullptr) {
    return config_.kind() == Seq2SeqKind::GRU ? b_.Gru(x, name, layer, last) : b_.Lstm(x, name, layer, last);
  }

  Builder& b_;
  const Seq2Seq& config_;
  const int64_t width_;
  const int heads_;
  const int64_t inner_;
};

class Encoder : Blocks {
 public:
  using Blocks::Blocks;

  Memory Build(ValueId source, ValueId length, int vocabulary) {
    ValueId x = Embed(source, "source_embedding", vocabulary, nullptr);
    for (uint32_t layer = 0; layer < config_.layers(); ++layer)
      x = transformer() ? Layer(x, length, fmt::format("encoder.layers.{}", layer)) : BothWays(x, length, layer);
    if (transformer()) x = Normalise(x, "encoder.norm");
    // Keys and values of what attends to it.
    Memory memory;
    for (uint32_t layer = 0; layer < MemoryLayers(config_); ++layer)
      memory[MemoryName(layer)] =
          Linear(x, fmt::format("decoder.layers.{}.cross_attn.kv_proj", layer), 2 * width_, /*parts=*/2);
    return memory;
  }

 private:
  ValueId Layer(ValueId x, ValueId length, const std::string& name) {
    ValueId y = Linear(Normalise(x, name + ".norm1"), name + ".self_attn.in_proj", 3 * width_, /*parts=*/3);
    y = b_.Attention(y, kNoValue, length, {.heads = heads_, .kv_heads = heads_});
    x = b_.Add(x, Dropout(Linear(y, name + ".self_attn.out_proj", width_)));
    return FeedForward(x, name, ".norm2");
  }

  ValueId BothWays(ValueId x, ValueId length, uint32_t layer) {
    const int64_t half = width_ / 2;
    const int number = static_cast<int>(layer);
    // One after the other: arguments are evaluated in any order, and parameters are created in one.
    const ValueId forwards = Recur(x, "encoder", {half, length, false, number});
    const ValueId backwards = Recur(x, "encoder", {half, length, true, number});
    return Dropout(b_.Concat(forwards, backwards));
  }
};

class Decoder : Blocks {
 public:
  Decoder(Builder& builder, const Seq2Seq& config, const Memory& memory, ValueId length,
          const Continuation* continuation)
      : Blocks(builder, config), memory_(memory), length_(length), continuation_(continuation) {}

  ValueId Build(ValueId tokens, int vocabulary) {
    ValueId x = Embed(tokens, "target_embedding", vocabulary, continuation_);
    if (transformer()) {
      for (uint32_t layer = 0; layer < config_.layers(); ++layer) x = Layer(x, layer);
      x = Normalise(x, "decoder.norm");
    } else {
      x = Recurrent(x);
    }
    return b_.TiedLinear(x, "logits", Table(vocabulary));
  }

 private:
  ValueId Layer(ValueId x, uint32_t layer) {
    const std::string name = fmt::format("decoder.layers.{}", layer);
    const graph::AttentionAttributes causal{.heads = heads_, .kv_heads = heads_, .causal = true};
    ValueId y = Linear(Normalise(x, name + ".norm1"), name + ".self_attn.in_proj", 3 * width_, /*parts=*/3);
    y = continuation_ != nullptr ? AttendToCache(b_, y, name, width_, causal, *continuation_)
                                 : b_.Attention(y, kNoValue, kNoValue, causal);
    x = b_.Add(x, Dropout(Linear(y, name + ".self_attn.out_proj", width_)));
    y = Linear(Normalise(x, name + ".norm2"), name + ".cross_attn.q_proj", width_);
    x = b_.Add(x, Dropout(Linear(Attend(y, layer, heads_), name + ".cross_attn.out_proj", width_)));
    return FeedForward(x, name, ".norm3");
  }

  ValueId Recurrent(ValueId x) {
    x = Step(x, 0);
    const ValueId query = Linear(x, "decoder.layers.0.cross_attn.q_proj", width_);
    const ValueId context = Attend(query, 0, 1);
    for (uint32_t layer = 1; layer < config_.layers(); ++layer) x = Step(b_.Concat(Dropout(x), context), layer);
    x = b_.Activate(Linear(b_.Concat(x, context), "decoder.out", width_), graph::Activation::kTanh);
    return Dropout(x);
  }

  ValueId Step(ValueId x, uint32_t layer) {
    const int number = static_cast<int>(layer);
    if (continuation_ == nullptr) return Recur(x, "decoder", {width_, kNoValue, false, number});
    const std::string hidden = fmt::format("decoder.{}.hidden", layer), cell = fmt::format("decoder.{}.cell", layer);
    const bool lstm = config_.kind() == Seq2SeqKind::LSTM;
    const RecurrentStates start{.hidden = b_.State(hidden, {width_}),
                                .cell = lstm ? b_.State(cell, {width_}) : kNoValue};
    RecurrentStates last;
    const ValueId y = Recur(x, "decoder", {width_, kNoValue, false, number, start}, &last);
    b_.NextState(hidden, last.hidden);
    if (lstm) b_.NextState(cell, last.cell);
    return y;
  }

  ValueId Attend(ValueId query, uint32_t layer, int heads) {
    return b_.Attention(query, memory_.at(MemoryName(layer)), length_, {.heads = heads, .kv_heads = heads});
  }

  const Memory& memory_;
  const ValueId length_;
  const Continuation* continuation_;
};

void RequireValid(const Seq2Seq& config) {
  RequireRange("model.seq2seq.layers", config.layers(), 1, 1000);
  RequireRange("model.seq2seq.width", config.width(), 2, kMaxWidth);
  RequireRange("model.seq2seq.inner", config.inner(), 0, kMaxWidth);
  RequireProbability("model.seq2seq.dropout", config.dropout());
  if (config.kind() != Seq2SeqKind::TRANSFORMER) {
    if (config.width() % 2 != 0) Fail("model.seq2seq.width", "two directions share it", "use an even number");
    return;
  }
  RequireRange("model.seq2seq.heads", config.heads(), 1, config.width());
  if (config.width() % config.heads() != 0)
    Fail("model.seq2seq.width", fmt::format("{} is not divisible by {} heads", config.width(), config.heads()));
}

}  // namespace

Memory BuildEncoder(Builder& builder, ValueId source, ValueId length, const Seq2Seq& config, int vocabulary) {
  RequireValid(config);
  return Encoder(builder, config).Build(source, length, vocabulary);
}

ValueId BuildDecoder(Builder& builder, ValueId tokens, const Memory& memory, ValueId length, const Seq2Seq& config,
                     int vocabulary, const Continuation* continuation) {
  return Decoder(builder, config, memory, length, continuation).Build(tokens, vocabulary);
}

std::map<std::string, Shape> MemoryShapes(const Seq2Seq& config, int64_t positions) {
  std::map<std::string, Shape> shapes;
  for (uint32_t layer = 0; layer < MemoryLayers(config); ++layer)
    shapes[MemoryName(layer)] = {positions, 2 * int64_t{config.width()}};
  return shapes;
}

}  // namespace lockstep::models

// The family gpt: pre-norm decoder layers, with the parameter names of Hugging Face's GPT-2 ("h.0.attn.c_attn.weight").
#include <fmt/format.h>

#include <cmath>

#include "trainer/models/blocks.h"

namespace lockstep::models {
namespace {

using graph::Builder;
using graph::Initializer;
using graph::kNoValue;
using graph::ValueId;

constexpr float kDeviation = 0.02f;
constexpr float kEpsilon = 1e-5f;

class GptBuilder {
 public:
  GptBuilder(Builder& builder, const Gpt& config, const Continuation* continuation)
      : b_(builder),
        config_(config),
        continuation_(continuation),
        width_(config.width()),
        heads_(static_cast<int>(config.heads())),
        kv_heads_(config.kv_heads() == 0 ? heads_ : static_cast<int>(config.kv_heads())),
        inner_(config.inner() == 0 ? 4 * width_ : config.inner()),
        bias_(!config.has_bias() || config.bias()) {}

  ValueId Build(ValueId tokens, int vocabulary) {
    const ValueId table = b_.Parameter("wte.weight", {vocabulary, width_}, {.value = 0, .deviation = kDeviation}, true);
    const int64_t time = continuation_ != nullptr ? continuation_->context : b_.shape(tokens).dim(1);
    ValueId x = b_.Embedding(tokens, "embedding", table, PositionTable(time), {}, First());
    x = Dropout(x);
    for (uint32_t layer = 0; layer < config_.layers(); ++layer) x = Layer(x, fmt::format("h.{}", layer));
    x = Normalise(x, "ln_f");
    if (config_.has_tied() && !config_.tied())
      return b_.Linear(x, "lm_head", vocabulary, false, {.value = 0, .deviation = kDeviation});
    return b_.TiedLinear(x, "lm_head", table);
  }

 private:
  ValueId First() const { return continuation_ != nullptr ? continuation_->first : kNoValue; }

  ValueId PositionTable(int64_t time) {
    if (config_.positions() == Positions::ROTARY) return kNoValue;
    const int64_t context = config_.context() == 0 ? time : config_.context();
    if (context < time)
      Fail("model.gpt.context", fmt::format("{} is less than the samples' {} tokens", context, time),
           "lower data.block");
    return b_.Parameter("wpe.weight", {context, width_}, {.value = 0, .deviation = kDeviation}, true);
  }

  ValueId Layer(ValueId x, const std::string& name) {
    x = b_.Add(x, Dropout(SelfAttention(Normalise(x, name + ".ln_1"), name + ".attn")));
    return b_.Add(x, Dropout(FeedForwardBlock(Normalise(x, name + ".ln_2"), name + ".mlp")));
  }

  ValueId SelfAttention(ValueId x, const std::string& name) {
    const int64_t head = width_ / heads_;
    x = Linear(x, name + ".c_attn", width_ + 2 * kv_heads_ * head);
    if (config_.positions() == Positions::ROTARY) {
      graph::RotaryAttributes rotary;
      rotary.heads = heads_ + kv_heads_;
      rotary.head_size = head;
      if (continuation_ != nullptr) rotary.positions = continuation_->capacity;
      x = b_.Rotary(x, rotary, First());
    }
    const graph::AttentionAttributes attention{.heads = heads_, .kv_heads = kv_heads_, .causal = true};
    x = continuation_ != nullptr ? AttendToCache(b_, x, name, width_, attention, *continuation_)
                                 : b_.Attention(x, kNoValue, kNoValue, attention);
    return Linear(x, name + ".c_proj", width_, ResidualDeviation());
  }

  ValueId FeedForwardBlock(ValueId x, const std::string& name) {
    if (config_.feed_forward() == FeedForward::SWIGLU) {
      x = b_.SwiGlu(Linear(x, name + ".c_fc", 2 * inner_));
    } else {
      x = b_.Activate(Linear(x, name + ".c_fc", inner_), Function());
    }
    return Linear(x, name + ".c_proj", width_, ResidualDeviation());
  }

  graph::Activation Function() const {
    switch (config_.feed_forward()) {
      case FeedForward::GELU_TANH:
        return graph::Activation::kGeluTanh;
      case FeedForward::RELU:
        return graph::Activation::kRelu;
      default:
        return graph::Activation::kGelu;
    }
  }

  /// What the layers add up to keeps its deviation, however many there are.
  float ResidualDeviation() const { return kDeviation / std::sqrt(2.0f * static_cast<float>(config_.layers())); }

  ValueId Linear(ValueId x, const std::string& name, int64_t out, float deviation = kDeviation) {
    return b_.Linear(x, name, out, bias_, {.value = 0, .deviation = deviation});
  }
  ValueId Normalise(ValueId x, const std::string& name) {
    return config_.norm() == Norm::RMS ? b_.RmsNorm(x, name, kEpsilon) : b_.LayerNorm(x, name, kEpsilon, bias_);
  }
  ValueId Dropout(ValueId x) {
    return config_.dropout() > 0 ? b_.Dropout(x, static_cast<float>(config_.dropout())) : x;
  }

  Builder& b_;
  const Gpt& config_;
  const Continuation* continuation_;
  const int64_t width_;
  const int heads_, kv_heads_;
  const int64_t inner_;
  const bool bias_;
};

}  // namespace

ValueId BuildGpt(Builder& builder, ValueId tokens, const Gpt& config, int vocabulary,
                 const Continuation* continuation) {
  RequireRange("model.gpt.layers", config.layers(), 1, 1000);
  RequireRange("model.gpt.width", config.width(), 1, kMaxWidth);
  RequireRange("model.gpt.heads", config.heads(), 1, config.width());
  RequireRange("model.gpt.inner", config.inner(), 0, kMaxWidth);
  RequireProbability("model.gpt.dropout", config.dropout());
  if (config.width() % config.heads() != 0)
    Fail("model.gpt.width", fmt::format("{} is not divisible by {} heads", config.width(), config.heads()));
  if (config.kv_heads() > 0 && config.heads() % config.kv_heads() != 0)
    Fail("model.gpt.kv_heads", fmt::format("{} heads can't share {}", config.heads(), config.kv_heads()),
         "use a divisor of model.gpt.heads");
  return GptBuilder(builder, config, continuation).Build(tokens, vocabulary);
}

}  // namespace lockstep::models

#include "trainer/models/hugging_face.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "trainer/models/blocks.h"

namespace lockstep::models {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "transformer.", kAttention = ".attn.c_attn.weight", kWeight = ".weight";
/// Of norms: GPT-2's, and the family gpt's.
constexpr double kEpsilon = 1e-5;

[[noreturn]] void Refuse(const std::string& field, const std::string& what) {
  Fail("model.gpt." + field, fmt::format("{} is nothing that Hugging Face's GPT2LMHeadModel has", what),
       "export FILE.safetensors");
}

/// As "activation_function" has it.
const char* ActivationName(FeedForward::Value feed_forward) {
  switch (feed_forward) {
    case FeedForward::GELU_TANH:
      return "gelu_new";
    case FeedForward::RELU:
      return "relu";
    default:
      return "gelu";
  }
}

/// The same function has several names there.
std::optional<FeedForward::Value> ActivationOf(std::string_view name) {
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return FeedForward::GELU_TANH;
  if (name == "gelu" || name == "gelu_python") return FeedForward::GELU;
  if (name == "relu") return FeedForward::RELU;
  return std::nullopt;
}

Json IdOrNull(int32_t id) { return id < 0 ? Json() : Json(id); }

/// The recipe's fields against those of a config.json.
class ConfigCheck {
 public:
  ConfigCheck(const Json& json, const std::string& path) : json_(json), path_(path) {}

  template <typename T>
  T Get(const char* name, T otherwise) const {
    const auto found = json_.find(name);
    if (found == json_.end() || found->is_null()) return otherwise;
    try {
      return found->template get<T>();
    } catch (const Json::exception&) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("\"{}\" is {}", name, found->dump(-1, ' ', true, Json::error_handler_t::replace)), path_);
    }
  }

  void Number(const char* name, const char* field, int64_t ours, int64_t otherwise) const {
    const int64_t theirs = Get(name, otherwise);
    if (theirs != ours) Differ(field, std::to_string(ours), name, std::to_string(theirs), std::to_string(theirs));
  }
  /// What the family gpt has no field for.
  void Fixed(const char* name, bool ours) const {
    if (Get(name, ours) != ours)
      throw Error(ErrorKind::kUsage, fmt::format("\"{}\": {} is not supported", name, !ours), path_);
  }
  [[noreturn]] void Differ(const char* field, const std::string& ours, const char* name, const std::string& theirs,
                           const std::string& value) const {
    throw Error(ErrorKind::kUsage, fmt::format("its \"{}\" is {}, model.gpt.{} is {}", name, theirs, field, ours),
                path_, value.empty() ? "" : fmt::format("set model.gpt.{}: {}", field, value));
  }
  [[noreturn]] void Unsupported(const char* name, const std::string& theirs) const {
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\": {} is not supported", name, theirs), path_);
  }

 private:
  const Json& json_;
  const std::string& path_;
};

}  // namespace

std::optional<std::string> NameFromHuggingFace(std::string_view theirs) {
  if (theirs.starts_with(kPrefix)) theirs.remove_prefix(kPrefix.size());
  if (theirs.ends_with(".attn.bias") || theirs.ends_with(".attn.masked_bias")) return std::nullopt;
  return std::string(theirs);
}

std::string NameForHuggingFace(std::string_view ours) {
  return ours.starts_with("lm_head.") ? std::string(ours) : std::string(kPrefix).append(ours);
}

bool IsConv1dWeight(std::string_view ours) {
  return ours.ends_with(kAttention) || ours.ends_with(".attn.c_proj.weight") || ours.ends_with(".mlp.c_fc.weight") ||
         ours.ends_with(".mlp.c_proj.weight");
}

std::optional<bool> IsConv1dLayout(std::string_view ours, const Shape& shape) {
  if (!ours.ends_with(kAttention) || shape.rank() != 2 || shape.dim(0) == shape.dim(1)) return std::nullopt;
  return shape.dim(0) < shape.dim(1);
}

std::optional<std::string> BiasOf(std::string_view weight) {
  if (!weight.ends_with(kWeight) || !(weight.starts_with("h.") || weight.starts_with("ln_f."))) return std::nullopt;
  return std::string(weight.substr(0, weight.size() - kWeight.size())).append(".bias");
}

void Transpose(std::span<const float> from, int64_t rows, int64_t columns, std::span<float> to) {
  CHECK(from.size() == static_cast<size_t>(rows * columns) && to.size() == from.size());
  // In squares, so that neither side is read or written a cache line per number.
  constexpr int64_t kSide = 32;
  for (int64_t top = 0; top < rows; top += kSide) {
    for (int64_t left = 0; left < columns; left += kSide) {
      for (int64_t row = top; row < std::min(top + kSide, rows); ++row) {
        for (int64_t column = left; column < std::min(left + kSide, columns); ++column) {
          to[static_cast<size_t>(column * rows + row)] = from[static_cast<size_t>(row * columns + column)];
        }
      }
    }
  }
}

void RequireGpt2(const Gpt& config) {
  if (config.positions() != Positions::LEARNED) Refuse("positions", Positions::Value_Name(config.positions()));
  if (config.norm() != Norm::LAYER) Refuse("norm", Norm::Value_Name(config.norm()));
  if (config.feed_forward() == FeedForward::SWIGLU)
    Refuse("feed_forward", FeedForward::Value_Name(config.feed_forward()));
  if (config.kv_heads() != 0 && config.kv_heads() != config.heads())
    Refuse("kv_heads", fmt::format("{} for {} heads", config.kv_heads(), config.heads()));
  if (config.has_tied() && !config.tied()) Refuse("tied", "false");
}

std::string HuggingFaceConfig(const Gpt& config, const HuggingFaceEnds& ends) {
  const Json json = {
      {"model_type", "gpt2"},
      {"architectures", Json::array({"GPT2LMHeadModel"})},
      {"vocab_size", ends.vocabulary},
      {"n_positions", ends.context},
      {"n_embd", config.width()},
      {"n_layer", config.layers()},
      {"n_head", config.heads()},
      {"n_inner", config.inner() == 0 ? Json() : Json(config.inner())},
      {"activation_function", ActivationName(config.feed_forward())},
      {"layer_norm_epsilon", kEpsilon},
      {"embd_pdrop", config.dropout()},
      {"resid_pdrop", config.dropout()},
      {"attn_pdrop", 0.0},
      {"tie_word_embeddings", true},
      // Left out, they would be GPT-2's own.
      {"bos_token_id", IdOrNull(ends.begin)},
      {"eos_token_id", IdOrNull(ends.end)},
      {"torch_dtype", "float32"},
  };
  return json.dump(2) + "\n";
}

void CheckHuggingFaceConfig(const Gpt& config, std::string_view text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("model_type", Json()) != "gpt2") return;
  const ConfigCheck check(json, path);
  check.Number("n_layer", "layers", config.layers(), 12);
  check.Number("n_head", "heads", config.heads(), 12);
  // Shapes tell this too, but the first that differs is some norm's.
  check.Number("n_embd", "width", config.width(), config.width());
  const std::string activation = check.Get<std::string>("activation_function", "gelu_new");
  const std::optional<FeedForward::Value> feed_forward = ActivationOf(activation);
  if (!feed_forward) check.Unsupported("activation_function", activation);
  if (config.feed_forward() != *feed_forward) {
    check.Differ("feed_forward", FeedForward::Value_Name(config.feed_forward()), "activation_function", activation,
                 FeedForward::Value_Name(*feed_forward));
  }
  const double epsilon = check.Get("layer_norm_epsilon", kEpsilon);
  if (std::abs(epsilon - kEpsilon) > 1e-9) check.Unsupported("layer_norm_epsilon", fmt::format("{}", epsilon));
  check.Fixed("scale_attn_weights", true);
  check.Fixed("scale_attn_by_inverse_layer_idx", false);
  check.Fixed("add_cross_attention", false);
}

}  // namespace lockstep::models

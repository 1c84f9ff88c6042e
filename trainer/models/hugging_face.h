// GPT-2 as Hugging Face's `transformers` keeps it: what GPT2LMHeadModel and GPT2Model call the family gpt's parameters,
// how they lie, and config.json.
//
// Their names are ours, behind "transformer." in GPT2LMHeadModel. Weights of linear layers are Conv1D's, [in, out];
// ours are as in PyTorch's nn.Linear, [out, in]. Older files hold causal masks as well (h.0.attn.bias), and maybe the
// output layer, which is the embedding, under a name of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/shape.h"
#include "trainer/models/model.pb.h"

namespace lockstep::models {

/// Our name of a tensor; none for buffers, which are no parameters.
std::optional<std::string> NameFromHuggingFace(std::string_view theirs);
/// GPT2LMHeadModel's name of a parameter.
std::string NameForHuggingFace(std::string_view ours);
/// Whether the parameter of this name (ours) is a weight that lies as [in, out] there.
bool IsConv1dWeight(std::string_view ours);
/// Whether a file in which a weight of this name (ours) has this shape keeps weights as Conv1D does: none where it
/// can't be told. Queries, keys and values come out of one layer, which is always wider than what goes in.
std::optional<bool> IsConv1dLayout(std::string_view ours, const Shape& shape);
/// The bias of a weight that has one in GPT-2 (names are ours); none for embeddings.
std::optional<std::string> BiasOf(std::string_view weight);

/// Writes the matrix `from`, [rows, columns], to `to` as [columns, rows].
void Transpose(std::span<const float> from, int64_t rows, int64_t columns, std::span<float> to);

/// Throws Error(kUsage) that names the first field with which the model is none that GPT2LMHeadModel can be.
void RequireGpt2(const Gpt& config);

/// What config.json says beyond the recipe.
struct HuggingFaceEnds {
  int64_t vocabulary = 0;        ///< rows of wte.weight
  int64_t context = 0;           ///< rows of wpe.weight
  int32_t begin = -1, end = -1;  ///< ids of tokens; -1: none
};
/// config.json of the model. REQUIRES: RequireGpt2 lets it pass.
std::string HuggingFaceConfig(const Gpt& config, const HuggingFaceEnds& ends);

/// What shapes of tensors don't tell: throws Error(kUsage) that names the field of model.gpt where the config.json in
/// `text` says something else. `path` is the file's, for messages. Files of other models, and what is no JSON, pass.
void CheckHuggingFaceConfig(const Gpt& config, std::string_view text, const std::string& path);

}  // namespace lockstep::models

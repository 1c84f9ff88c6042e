// A checkpoint's weights as a folder that Hugging Face's `transformers` opens.
#pragma once

#include <map>
#include <span>
#include <string>

#include "launch/recipe/recipe.h"
#include "trainer/checkpoint/safetensors.h"

namespace lockstep::launch {

/// Throws Error(kUsage) where the recipe's model is nothing that AutoModelForCausalLM could open, naming the field, or
/// where `folder` has something in it and `force` is not given.
void CheckHuggingFaceExport(const Recipe& recipe, const std::string& folder, bool force);

/// Writes model.safetensors (under Hugging Face's names, in its layout, with zero biases where the model has none),
/// config.json and the tokenizer's files: all of them under a temporary name first, so that `folder` is whole or not
/// there. An older one is moved aside; returns where to, empty where there was none. Throws as CheckHuggingFaceExport,
/// ExportTokenizer and WriteSafetensors do.
std::string WriteHuggingFaceFolder(const Recipe& recipe, std::span<const checkpoint::NamedTensor> tensors,
                                   const std::map<std::string, std::string>& metadata, const std::string& folder,
                                   bool force);

}  // namespace lockstep::launch

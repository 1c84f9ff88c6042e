// The weights that a path names: a checkpoint, a .safetensors file, or a model's folder as Hugging Face lays it out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/shape.h"
#include "trainer/models/model.pb.h"

namespace lockstep::launch {

struct NamedWeights {
  Shape shape;
  std::vector<float> data;
};

struct NamedWeightsOfPath {
  std::map<std::string, NamedWeights> tensors;  ///< under our names, lying as ours do
  /// Names of tensors that hold no weights (counters, masks), with their types: "I64".
  std::map<std::string, std::string> others = {};
  bool foreign_gpt = false;  ///< they are GPT-2's as another program wrote it
};

/// Reads `path`: a run's folder or a checkpoint, of which those that evaluation uses; a .safetensors file; a folder
/// with model.safetensors or model.safetensors.index.json. Floats of any width come out as float32. For a model with
/// `model.gpt`, files of Hugging Face's GPT-2 are understood (trainer/models/hugging_face.h); those that `lockstep
/// export` wrote carry lockstep_version, and are taken as they are. What PyTorch's wrappers put in front of all names
/// ("module.", "_orig_mod.") is taken off, with a note. Throws Error(kCheckpoint) for damaged files and
/// Error(kUsage) where config.json beside the weights says something else than the recipe.
NamedWeightsOfPath ReadWeights(const std::string& path, const models::ModelConfig& model);

}  // namespace lockstep::launch

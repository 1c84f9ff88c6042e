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
  /// They are GPT-2's as another program wrote it: a tensor that the model lacks is then a sign that it is another
  /// model.
  bool foreign_gpt = false;
};

/// Reads `path`: a run's folder or a checkpoint, of which those that evaluation uses; a .safetensors file; a folder
/// with model.safetensors or model.safetensors.index.json. Floats of any width come out as float32. For a model with
/// `model.gpt`, files of Hugging Face's GPT-2 are understood (trainer/models/hugging_face.h); those that `lockstep
/// export` wrote carry lockstep_version, and are taken as they are. Throws Error(kCheckpoint) for damaged files and
/// Error(kUsage) where config.json beside the weights says something else than the recipe.
NamedWeightsOfPath ReadWeights(const std::string& path, const models::ModelConfig& model);

}  // namespace lockstep::launch

// From an ONNX file to a folder with a recipe and weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lockstep::launch {

struct ImportModelOptions {
  std::string path;                    ///< MODEL.onnx
  std::string out = {};                ///< the folder; empty: the model's name in the working directory
  std::vector<std::string> data = {};  ///< what it is to be trained on: files or folders; empty: the recipe has a hint
  std::map<std::string, int64_t> dims = {};  ///< sizes of dimensions that the file has names for
  bool force = false;                        ///< replace files that are there
};

struct ImportedFolder {
  std::string folder;
  std::string report;  ///< of what became of the file
};

/// Writes recipe.textproto, weights.safetensors and import.txt. Throws Error(kUsage), Error(kData).
ImportedFolder ImportModel(const ImportModelOptions& options);

}  // namespace lockstep::launch

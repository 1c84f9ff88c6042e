// A run's model as an ONNX file, for ONNX Runtime and other programs.
#pragma once

#include <map>
#include <span>
#include <string>

#include "launch/job/trained_run.h"
#include "trainer/checkpoint/safetensors.h"

namespace lockstep::launch {

struct OnnxExport {
  bool half = false;            ///< weights and computation in float16; inputs and outputs stay float32
  bool channels_first = false;  ///< images are [batch, channels, height, width]
  bool preprocessing = true;    ///< the recipe's normalisation of images, features and targets is part of the model
};

/// Writes the file (and PATH.data beside it where it would be larger than 1.5 GiB): of any family the graph from the
/// data's field to logits, values or maps. Inputs are images and features as the data have them before normalisation
/// (bytes as floats of 0 to 255), tokens and lengths as int64. `metadata` goes into the file, with the names of classes
/// and what preprocessing it has. Returns a line for people. Throws Error(kUsage) where the model has ops that ONNX
/// files can't hold.
std::string WriteOnnx(const TrainedRun& run, std::span<const checkpoint::NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata, const std::string& path,
                      const OnnxExport& options);

}  // namespace lockstep::launch

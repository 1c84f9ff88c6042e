// From a model's forward graph (graph::Mode::kInfer, before any pass) to an ONNX model: opset 17, IR 8, floats of 32 or
// 16 bits, weights under their own names, dimensions that vary by name. ONNX: github.com/onnx/onnx, docs/IR.md and
// docs/Operators.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/onnx/export/emission.h"
#include "trainer/onnx/export/model_sizes.h"
#include "trainer/onnx/onnx.pb.h"

namespace lockstep::onnx {

/// What is done to an input by channel (its last dimension) before the model reads it: (x scale - mean) / deviation,
/// each operation rounded to f32. Or to an output behind the model: x deviation + mean; its scale is 1.
struct Rescaling {
  std::string name;  ///< of the input or output
  float scale = 1;
  std::vector<float> mean = {}, deviation = {};
};

struct ExportOptions {
  bool half = false;                    ///< weights and computation in 16 bits; inputs and outputs stay in 32
  bool channels_first_inputs = false;   ///< "image" comes as [batch, channels, height, width]
  bool channels_first_outputs = false;  ///< outputs of rank 4 go so
  std::vector<Rescaling> inputs = {}, outputs = {};
  std::vector<std::string> left_out = {};  ///< outputs that nobody wants
  std::string version = {};                ///< of the producer, Lockstep
  std::map<std::string, std::string> metadata = {};
};

/// Integer inputs are int64. Throws Error(kUsage) listing all ops that can't be written, or naming one whose form
/// can't.
ModelProto ExportModel(const ModelSizes& model, const WeightsByName& weights, const ExportOptions& options);

/// "image [batch, 28, 28, 1]": an input or output as people read it.
std::string Describe(const ValueInfoProto& info);

}  // namespace lockstep::onnx

// Where an ONNX file comes from, as far as that decides what may be trained: which initializers are parameters, which
// way PyTorch wrote it, and names that people know.
#pragma once

#include <set>
#include <string>

#include "trainer/onnx/onnx.pb.h"

namespace lockstep::onnx {

/// PyTorch's ways of writing, and all others.
enum class Exporter {
  kDynamo,           ///< torch.onnx.export(dynamo=True, optimize=False): faithful but for batch norm's mode
  kDynamoOptimized,  ///< the same with defaults: batch norm folded, weights merged and renamed
  kTorchScript,      ///< dynamo=False in training mode: faithful
  kTorchScriptEval,  ///< dynamo=False in inference mode: batch norm folded, dropout gone, weights merged and renamed
  kOther,
};
/// In words: "PyTorch's exporter (dynamo=True, optimize=False)".
std::string NameOf(Exporter exporter);
/// Whether what was folded and merged makes the file one for inference.
bool IsForInference(Exporter exporter);

struct Provenance {
  Exporter exporter = Exporter::kOther;
  std::set<std::string> parameters;  ///< initializers that training changes; running statistics are none
};
Provenance ProvenanceOf(const ModelProto& model);

/// Whether a person gave an initializer its name ("layer1.0.conv1.weight"), rather than an exporter ("val_12",
/// "onnx::MatMul_123", "/Constant_output_0").
bool IsGivenName(const std::string& name);

/// The module that a node belongs to, as PyTorch names it: "layer1.0.conv1"; empty where the file doesn't say.
std::string ModulePathOf(const NodeProto& node);

}  // namespace lockstep::onnx

// Imports ONNX models: a graph as recipes have it, and weights under their PyTorch names.
//
// Shapes are worked out twice, with two sizes of the batch, and shape arithmetic is folded; what differs between the
// two is the batch's. Parameters keep the names and layouts of PyTorch's modules as far as the file has them. Sources:
// the ONNX operator specification, opsets 13 to 24 (github.com/onnx/onnx, docs/Operators.md).
#pragma once

#include <map>
#include <string>

#include "trainer/onnx/import_result.h"
#include "trainer/onnx/model_file.h"

namespace lockstep::onnx {

struct ImportOptions {
  std::map<std::string, int64_t> dims = {};  ///< sizes of dimensions other than the batch, by the file's names
  /// Whether inputs' first dimension is the batch. Else all sizes are the file's, and inputs of the result are batches
  /// of one sample, which is the whole.
  bool has_batch = true;
};

/// `model` comes from ParseModel. Throws Error(kUsage) with all that is not supported, by operator and module; for
/// dimensions of unknown size; Error(kData) for files that contradict themselves.
ImportResult Import(const ModelProto& model, const ImportOptions& options, const ReadExternal& external);

}  // namespace lockstep::onnx

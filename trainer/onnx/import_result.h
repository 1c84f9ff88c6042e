// What comes of an ONNX file: a graph as recipes have it, weights, and what a person should know.
#pragma once

#include <string>
#include <vector>

#include "trainer/models/graph.pb.h"
#include "trainer/onnx/provenance.h"
#include "trainer/onnx/tensor.h"

namespace lockstep::onnx {

struct ImportedTensor {
  std::string name;
  Dims dims;
  std::vector<float> values;
};

/// For the report.
struct ImportCounts {
  int nodes = 0;       ///< in the file
  int nodes_left = 0;  ///< that are neither folded nor unused
  int parameters = 0;  ///< tensors
  int64_t parameter_elements = 0;
  int buffers = 0;
  int batch_norms = 0;  ///< given training meaning
  int dropouts = 0;
  int renamed = 0;     ///< parameters whose PyTorch name is lost
  int transposed = 0;  ///< of these, stored the other way round in the file
  int separated = 0;   ///< parameters that the exporter had merged since their values were equal
};

struct ImportResult {
  models::GraphModel graph;
  std::vector<ImportedTensor> tensors;
  ImportCounts counts;
  Exporter exporter = Exporter::kOther;
  std::vector<std::string> warnings;
};

}  // namespace lockstep::onnx

// Small models of every family with random weights, as they are exported, with inputs and what Lockstep makes of them.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "trainer/models/models.h"
#include "trainer/onnx/export/export_model.h"

namespace lockstep::onnx {

/// Values of a field, floats or whole numbers, with a shape.
struct CaseTensor {
  Shape shape;
  bool integers = false;
  std::vector<float> floats = {};
  std::vector<int32_t> numbers = {};
};

struct ExportCase {
  std::string name;
  std::string model;  ///< text of models::ModelConfig
  models::DataShape data;
  int64_t rows = 2;
  int64_t source = 7, target = 5;  ///< lengths that vary
  bool channels_first = false;
  bool jumps = false;  ///< has functions that jump, and halves may land on the other side

  /// A tensor as the exported model has it: images channels first, where it has them so.
  CaseTensor InOrder(const CaseTensor& tensor) const;
};

/// For the names of tests.
std::ostream& operator<<(std::ostream& out, const ExportCase& one);

/// Of all families and of graphs.
std::vector<ExportCase> ExportCases();
std::vector<ExportCase> FamilyCases();
std::vector<ExportCase> GraphCases();

/// A case's model in Lockstep: its weights, its inputs, and its outputs for them on one core.
class CaseModel {
 public:
  explicit CaseModel(const ExportCase& one);

  const std::map<std::string, std::vector<float>>& weights() const { return weights_; }
  const std::map<std::string, CaseTensor>& inputs() const { return inputs_; }
  const std::map<std::string, CaseTensor>& outputs() const { return outputs_; }
  /// As it is exported.
  ModelProto Export(ExportOptions options = {}) const;

 private:
  void DrawWeights(const graph::Model& model);
  void DrawInputs(const graph::Graph& graph);
  void Run(const graph::Graph& graph);

  const ExportCase case_;
  const models::ModelConfig config_;
  std::map<std::string, std::vector<float>> weights_;
  std::map<std::string, CaseTensor> inputs_, outputs_;
};

/// ONNX's layout of tests: FOLDER/NAME/model.onnx and NAME/test_data_set_0/{input,output}_N.pb, in the order of the
/// model's inputs and outputs.
void WriteCases(const std::string& folder);

}  // namespace lockstep::onnx

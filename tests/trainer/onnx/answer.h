// Imported ONNX models that answer: files' inputs in, results out, to be compared with what others computed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/engine/backend.h"
#include "trainer/onnx/import.h"

namespace lockstep::onnx {

/// The answers of a model whose inputs have `rows` samples, by name: outputs of the graph in their order.
/// `inputs`: by the names of the graph's inputs.
std::vector<std::vector<float>> AnswersOf(const ImportResult& imported, const std::map<std::string, Tensor>& inputs,
                                          int64_t rows, engine::Backend& backend);

/// The largest |a - b| beyond what `relative` |b| allows, and where; NaN and infinities must agree.
struct Difference {
  double largest = 0;
  size_t place = 0;
};
Difference Compare(const std::vector<float>& ours, const std::vector<double>& theirs, double relative);

/// A serialised TensorProto, as the standard's tests keep inputs and results.
TensorProto ReadTensorFile(const std::string& path);

}  // namespace lockstep::onnx

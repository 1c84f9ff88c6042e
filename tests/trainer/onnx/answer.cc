#include "tests/trainer/onnx/answer.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/files/file.h"
#include "base/threads.h"
#include "trainer/infer/trained_model.h"
#include "trainer/models/models.h"

namespace lockstep::onnx {
namespace {

void FillWeights(const ImportResult& imported, const engine::ParameterLayout& layout, std::span<float> arena) {
  std::map<std::string, const ImportedTensor*> tensors;
  for (const ImportedTensor& tensor : imported.tensors) tensors[tensor.name] = &tensor;
  for (const engine::ArenaEntry& entry : layout.entries()) {
    const auto found = tensors.find(entry.name);
    CHECK(found != tensors.end(), "no weights for {}", entry.name);
    const ImportedTensor& tensor = *found->second;
    CHECK(Shape(tensor.dims) == entry.shape, "{} is {}, not {}", entry.name, ToString(tensor.dims),
          entry.shape.ToString());
    std::copy(tensor.values.begin(), tensor.values.end(), arena.begin() + entry.offset);
    tensors.erase(found);
  }
  CHECK(tensors.empty(), "nobody wants {}", tensors.begin()->first);
}

template <typename T>
void Fill(infer::InferenceProgram& program, const std::string& name, const Tensor& tensor) {
  const std::span<T> memory = program.Input<T>(name);
  if (memory.empty()) return;  // nobody reads it
  CHECK(memory.size() == tensor.values.size(), "{} has {} values, not {}", name, tensor.values.size(), memory.size());
  std::transform(tensor.values.begin(), tensor.values.end(), memory.begin(),
                 [](double value) { return static_cast<T>(value); });
}

}  // namespace

std::vector<std::vector<float>> AnswersOf(const ImportResult& imported, const std::map<std::string, Tensor>& inputs,
                                          int64_t rows, engine::Backend& backend) {
  PrepareComputeThread(1, "");
  models::ModelConfig config;
  *config.mutable_graph() = imported.graph;
  const graph::Model model = models::Build(config, models::DataShape{}, graph::Mode::kInfer, rows);
  const engine::ParameterLayout layout(model.graph);
  std::vector<float> arena(static_cast<size_t>(layout.elements()), 0);
  FillWeights(imported, layout, arena);
  infer::InferenceProgram program(model.graph, {layout, backend, arena.data()});
  for (const models::GraphInput& input : imported.graph.input()) {
    const auto found = inputs.find(input.name());
    CHECK(found != inputs.end(), "no input {}", input.name());
    if (input.integers())
      Fill<int32_t>(program, input.name(), found->second);
    else
      Fill<float>(program, input.name(), found->second);
  }
  program.Run();
  std::vector<std::vector<float>> answers;
  for (const models::GraphOutput& output : imported.graph.output()) {
    const graph::Value& value = program.graph().value(program.graph().outputs.at(output.name()));
    std::vector<float>& answer = answers.emplace_back();
    if (value.dtype == DType::kI32) {
      for (const int32_t element : program.Output<int32_t>(output.name()))
        answer.push_back(static_cast<float>(element));
    } else {
      const std::span<const float> values = program.Output<float>(output.name());
      answer.assign(values.begin(), values.end());
    }
  }
  return answers;
}

Difference Compare(const std::vector<float>& ours, const std::vector<double>& theirs, double relative) {
  CHECK(ours.size() == theirs.size(), "{} values, not {}", ours.size(), theirs.size());
  Difference difference;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double a = static_cast<double>(ours[i]), b = theirs[i];
    const bool same = a == b || (std::isnan(a) && std::isnan(b));
    const double beyond = same ? 0 : std::abs(a - b) - relative * std::abs(b);
    const double counted = std::isnan(beyond) ? HUGE_VAL : beyond;
    if (counted > difference.largest) difference = {counted, i};
  }
  return difference;
}

TensorProto ReadTensorFile(const std::string& path) {
  TensorProto proto;
  CHECK(proto.ParseFromString(ReadWholeFile(FileSystem::Real(), path)), "{}", path);
  return proto;
}

}  // namespace lockstep::onnx

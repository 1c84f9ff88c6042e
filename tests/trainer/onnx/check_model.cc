// check_model MODEL.onnx FOLDER [NAME=SIZE...]: imports the model, answers to FOLDER/input_N.pb by the CPU backend, and
// compares with FOLDER/output_N.pb, to 1e-4 of the largest answer. Prints "ok" and the largest difference; exits 1
// where answers differ, 2 where the model can't be imported.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/files/file.h"
#include "tests/trainer/onnx/answer.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::onnx {
namespace {

double LargestOf(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

int Check(const std::string& path, const std::string& folder, const ImportOptions& options) {
  FileSystem& files = FileSystem::Real();
  const std::string bytes = ReadWholeFile(files, path);
  const ModelProto model = ParseModel(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const ImportResult imported = Import(model, options, ExternalFilesOf(files, path));
  std::map<std::string, Tensor> inputs;
  int64_t rows = 1;
  for (int i = 0; i < imported.graph.input_size(); ++i) {
    Tensor tensor = ReadTensor(ReadTensorFile(fmt::format("{}/input_{}.pb", folder, i)), nullptr);
    rows = tensor.dims.at(0);
    inputs.emplace(imported.graph.input(i).name(), std::move(tensor));
  }
  const std::unique_ptr<engine::Backend> backend = MakeOneDnnBackend({1, DetectIsa()});
  const auto answers = AnswersOf(imported, inputs, rows, *backend);
  double largest = 0;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Tensor theirs = ReadTensor(ReadTensorFile(fmt::format("{}/output_{}.pb", folder, i)), nullptr);
    const double scale = std::max(LargestOf(theirs.values), 1e-3);
    largest = std::max(largest, Compare(answers[i], theirs.values, 0).largest / scale);
  }
  fmt::print("{} {:.1e} nodes={} left={} recipe={} renamed={}\n", largest < 1e-4 ? "ok" : "DIFFERS", largest,
             imported.counts.nodes, imported.counts.nodes_left, imported.graph.node_size(), imported.counts.renamed);
  return largest < 1e-4 ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::onnx

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  lockstep::onnx::ImportOptions options;
  for (int i = 3; i < argc; ++i) {
    const std::string dim = argv[i];
    options.dims[dim.substr(0, dim.find('='))] = std::stoll(dim.substr(dim.find('=') + 1));
  }
  try {
    return lockstep::onnx::Check(argv[1], argv[2], options);
  } catch (const std::exception& error) {
    fmt::print("{}\n", error.what());
    return 2;
  }
}

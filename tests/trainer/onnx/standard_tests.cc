#include "tests/trainer/onnx/standard_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/files/file.h"
#include "tests/trainer/onnx/answer.h"

namespace lockstep::onnx {
namespace {

namespace fs = std::filesystem;

/// Which inputs of the model become constants: operators take shapes, axes and weights as inputs, recipes don't.
enum class Constants { kNone, kIntegersBehindFirst, kAllBehindFirst, kAll };

struct Case {
  ModelProto model;
  std::vector<TensorProto> inputs;  ///< by the order of the graph's inputs
  std::vector<TensorProto> outputs;
};

Case ReadCase(const std::string& folder) {
  Case read;
  const std::string bytes = ReadWholeFile(FileSystem::Real(), folder + "/model.onnx");
  CHECK(read.model.ParseFromString(bytes), "{}", folder);
  const std::string data = folder + "/test_data_set_0/";
  for (int i = 0; fs::exists(fmt::format("{}input_{}.pb", data, i)); ++i)
    read.inputs.push_back(ReadTensorFile(fmt::format("{}input_{}.pb", data, i)));
  for (int i = 0; fs::exists(fmt::format("{}output_{}.pb", data, i)); ++i)
    read.outputs.push_back(ReadTensorFile(fmt::format("{}output_{}.pb", data, i)));
  // Tests of operators that have not changed since are of older versions.
  for (OperatorSetIdProto& opset : *read.model.mutable_opset_import())
    opset.set_version(std::max<int64_t>(opset.version(), kOldestOpset));
  return read;
}

/// The case with some of its inputs as constants. The first stays, unless all are to be constants.
ModelProto WithConstants(const Case& read, Constants constants) {
  ModelProto model = read.model;
  GraphProto& graph = *model.mutable_graph();
  graph.clear_input();
  for (int i = 0; i < read.model.graph().input_size(); ++i) {
    const ValueInfoProto& input = read.model.graph().input(i);
    const TensorProto& value = read.inputs.at(static_cast<size_t>(i));
    const bool constant = constants == Constants::kAll || (constants == Constants::kAllBehindFirst && i > 0) ||
                          (constants == Constants::kIntegersBehindFirst && i > 0 && !IsFloatType(value.data_type()));
    if (!constant) {
      *graph.add_input() = input;
      continue;
    }
    TensorProto* initializer = graph.add_initializer();
    *initializer = value;
    initializer->set_name(input.name());
  }
  return model;
}

/// Empty: all answers are right.
std::string Differences(const Case& read, const ImportResult& imported, engine::Backend& backend) {
  std::map<std::string, Tensor> inputs;
  // The graph's inputs keep their order, and those that became constants are gone.
  size_t next = 0;
  for (const models::GraphInput& input : imported.graph.input()) {
    while (read.inputs.at(next).name() != input.name() &&
           read.model.graph().input(static_cast<int>(next)).name() != input.name())
      ++next;
    inputs.emplace(input.name(), ReadTensor(read.inputs[next++], nullptr));
  }
  const auto answers = AnswersOf(imported, inputs, 1, backend);
  for (size_t i = 0; i < answers.size(); ++i) {
    const Tensor theirs = ReadTensor(read.outputs.at(i), nullptr);
    const Difference difference = Compare(answers[i], theirs.values, 1e-3);
    if (difference.largest > 1e-7 + 1e-6)
      return fmt::format("answers {} instead of {}", answers[i][difference.place], theirs.values[difference.place]);
  }
  return "";
}

std::string FirstLine(std::string text) {
  const std::string head = "has what Lockstep doesn't support:\n  ";
  if (text.starts_with(head)) text = text.substr(head.size());
  return text.substr(0, std::min(text.find(", 1 node"), text.find('\n')));
}

}  // namespace

std::string FolderOfStandardTests() {
  const char* said = std::getenv("LOCKSTEP_ONNX_TESTS");
  const std::string folder = said != nullptr ? said : "/usr/share/libonnx-testdata/data/node";
  return fs::is_directory(folder) ? folder : "";
}

std::vector<std::string> StandardTests(const std::string& folder) { return FileSystem::Real().List(folder); }

StandardOutcome RunStandardTest(const std::string& folder, const std::string& test, engine::Backend& backend) {
  StandardOutcome outcome{test, "", ""};
  try {
    const Case read = ReadCase(folder + "/" + test);
    const GraphProto& graph = read.model.graph();
    outcome.op = graph.node(graph.node_size() - 1).op_type();
    for (const Constants constants :
         {Constants::kNone, Constants::kIntegersBehindFirst, Constants::kAllBehindFirst, Constants::kAll}) {
      try {
        const ModelProto model = WithConstants(read, constants);
        const std::string bytes = model.SerializeAsString();
        const ModelProto parsed = ParseModel(std::as_bytes(std::span(bytes.data(), bytes.size())));
        outcome.reason = Differences(read, Import(parsed, {.dims = {}, .has_batch = false}, nullptr), backend);
        return outcome;
      } catch (const Error& error) {
        if (outcome.reason.empty() || constants != Constants::kAll) outcome.reason = FirstLine(error.message());
      }
    }
  } catch (const std::exception& error) {
    outcome.reason = FirstLine(error.what());
  }
  return outcome;
}

}  // namespace lockstep::onnx

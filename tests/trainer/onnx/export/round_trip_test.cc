// What is exported comes in again as a graph, and answers as before.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/trainer/onnx/answer.h"
#include "tests/trainer/onnx/export/export_cases.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::onnx {
namespace {

ImportResult ImportAgain(const CaseModel& model) {
  const std::string bytes = model.Export().SerializeAsString();
  ImportOptions options;
  // Whatever the lengths are called that the case has.
  for (const auto& [name, tensor] : model.inputs()) {
    if (tensor.shape.rank() < 2) continue;
    if (name == "source") options.dims["source_time"] = tensor.shape[1];
    if (name == "tokens" || name == "features") options.dims["time"] = tensor.shape[1];
  }
  return Import(ParseModel(std::as_bytes(std::span(bytes.data(), bytes.size()))), options, nullptr);
}

std::map<std::string, Tensor> InputsOf(const ExportCase& one, const CaseModel& model) {
  std::map<std::string, Tensor> inputs;
  for (const auto& [name, ours] : model.inputs()) {
    const CaseTensor tensor = one.InOrder(ours);
    Tensor& theirs = inputs[name];
    theirs.dims.assign(tensor.shape.dims().begin(), tensor.shape.dims().end());
    theirs.values.assign(tensor.floats.begin(), tensor.floats.end());
    theirs.values.insert(theirs.values.end(), tensor.numbers.begin(), tensor.numbers.end());
  }
  return inputs;
}

/// Of layers whose lengths differ by row, or which read from the end alone, graphs have no nodes.
bool IsImported(const ExportCase& one) {
  static const std::set<std::string> kNotImported = {"lstm", "gru", "translation_lstm", "translation_gru",
                                                     "graph_recurrent"};
  return !kNotImported.contains(one.name);
}

/// Ops that come in as several, or the other way round, round elsewhere: attention, GELU, norms of groups.
bool HasSameBits(const ExportCase& one) {
  static const std::set<std::string> kOther = {"layers", "fcos", "graph_image", "graph_transformer"};
  return !kOther.contains(one.name) && !one.name.starts_with("gpt") && !one.name.starts_with("translation");
}

class RoundTrip : public testing::TestWithParam<ExportCase> {};

TEST_P(RoundTrip, AnswersAsBefore) {
  if (!IsImported(GetParam())) GTEST_SKIP() << "can't be imported";
  const CaseModel model(GetParam());
  const ImportResult imported = ImportAgain(model);
  const std::unique_ptr<engine::Backend> backend = MakeOneDnnBackend({});
  const auto answers = AnswersOf(imported, InputsOf(GetParam(), model), GetParam().rows, *backend);
  ASSERT_EQ(answers.size(), model.outputs().size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string& name = imported.graph.output(static_cast<int>(i)).name();
    const CaseTensor expected = GetParam().InOrder(model.outputs().at(name));
    ASSERT_EQ(answers[i].size(), expected.floats.size());
    if (HasSameBits(GetParam())) {
      EXPECT_EQ(std::memcmp(answers[i].data(), expected.floats.data(), answers[i].size() * sizeof(float)), 0) << name;
    }
    const std::vector<double> before(expected.floats.begin(), expected.floats.end());
    EXPECT_LE(Compare(answers[i], before, 1e-5).largest, 1e-5) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RoundTrip, testing::ValuesIn(ExportCases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace lockstep::onnx

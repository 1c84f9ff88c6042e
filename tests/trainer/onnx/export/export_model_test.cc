#include "trainer/onnx/export/export_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "tests/trainer/models/model_world.h"
#include "tests/trainer/onnx/export/export_cases.h"
#include "trainer/onnx/export/build_sizes.h"

namespace lockstep::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ExportCase Case(const std::string& name) {
  for (const ExportCase& one : ExportCases())
    if (one.name == name) return one;
  ADD_FAILURE() << name;
  return {};
}

std::vector<std::string> Ends(const google::protobuf::RepeatedPtrField<ValueInfoProto>& infos) {
  std::vector<std::string> ends;
  for (const ValueInfoProto& info : infos) ends.push_back(Describe(info));
  return ends;
}

int Count(const GraphProto& graph, const std::string& type) {
  int count = 0;
  for (const NodeProto& node : graph.node()) count += node.op_type() == type ? 1 : 0;
  return count;
}

class ExportFamilies : public testing::TestWithParam<ExportCase> {};

TEST_P(ExportFamilies, NodesStandInTheOrderInWhichTheyAreRead) {
  const GraphProto graph = CaseModel(GetParam()).Export().graph();
  std::set<std::string> known{""};
  for (const ValueInfoProto& input : graph.input()) EXPECT_TRUE(known.insert(input.name()).second);
  for (const TensorProto& tensor : graph.initializer())
    EXPECT_TRUE(known.insert(tensor.name()).second) << tensor.name();
  for (const NodeProto& node : graph.node()) {
    for (const std::string& input : node.input()) EXPECT_TRUE(known.contains(input)) << node.name() << ": " << input;
    for (const std::string& output : node.output()) EXPECT_TRUE(known.insert(output).second) << output;
  }
  for (const ValueInfoProto& output : graph.output()) EXPECT_TRUE(known.contains(output.name()));
}

TEST_P(ExportFamilies, WeightsStandUnderTheirNames) {
  const CaseModel model(GetParam());
  const ModelProto exported = model.Export();
  std::map<std::string, const TensorProto*> tensors;
  for (const TensorProto& tensor : exported.graph().initializer()) tensors[tensor.name()] = &tensor;
  for (const auto& [name, values] : model.weights()) {
    ASSERT_TRUE(tensors.contains(name)) << name;
    const std::string& raw = tensors[name]->raw_data();
    ASSERT_EQ(raw.size(), values.size() * sizeof(float)) << name;
    EXPECT_EQ(std::memcmp(raw.data(), values.data(), raw.size()), 0) << name;
  }
}

TEST_P(ExportFamilies, TheBatchIsOpen) {
  const ModelProto exported = CaseModel(GetParam()).Export();
  for (const auto* ends : {&exported.graph().input(), &exported.graph().output()})
    for (const ValueInfoProto& info : *ends) EXPECT_EQ(info.type().tensor_type().shape().dim(0).dim_param(), "batch");
  EXPECT_EQ(exported.ir_version(), 8);
  EXPECT_EQ(exported.opset_import(0).version(), 17);
}

INSTANTIATE_TEST_SUITE_P(All, ExportFamilies, testing::ValuesIn(ExportCases()),
                         [](const auto& info) { return info.param.name; });

TEST(ExportModel, DimensionsThatVaryHaveNames) {
  const GraphProto gpt = CaseModel(Case("gpt")).Export().graph();
  EXPECT_THAT(Ends(gpt.input()), ElementsAre("tokens [batch, time]"));
  EXPECT_THAT(Ends(gpt.output()), ElementsAre("logits [batch, time, 11]"));
  const GraphProto pairs = CaseModel(Case("translation")).Export().graph();
  EXPECT_THAT(Ends(pairs.input()),
              ElementsAre("source_length [batch]", "source [batch, source_time]", "tokens [batch, time]"));
  EXPECT_THAT(Ends(pairs.output()), ElementsAre("logits [batch, time, 13]"));
}

TEST(ExportModel, ImagesTurnOnceOnTheirWayIn) {
  const GraphProto ours = CaseModel(Case("resnet")).Export().graph();
  EXPECT_THAT(Ends(ours.input()), ElementsAre("image [batch, 16, 16, 3]"));
  EXPECT_EQ(Count(ours, "Transpose"), 1);
  const GraphProto theirs = CaseModel(Case("convnet_channels_first")).Export().graph();
  EXPECT_THAT(Ends(theirs.input()), ElementsAre("image [batch, 3, 8, 8]"));
  EXPECT_EQ(Count(theirs, "Transpose"), 0);
}

TEST(ExportModel, PreprocessingStandsInFrontAndBehind) {
  const CaseModel model(Case("mlp_regression"));
  ExportOptions options;
  options.inputs = {{.name = "features", .scale = 0.5f, .mean = {1, 2, 3, 4, 5}, .deviation = {1, 1, 1, 1, 1}}};
  options.outputs = {{.name = "prediction", .mean = {7, 8}, .deviation = {2, 3}}};
  const GraphProto graph = model.Export(options).graph();
  // Deviations of 1 are left out.
  EXPECT_EQ(graph.node(0).op_type(), "Mul");
  EXPECT_EQ(graph.node(1).op_type(), "Sub");
  EXPECT_EQ(graph.node(2).op_type(), "Gemm");
  EXPECT_EQ(graph.node(graph.node_size() - 3).op_type(), "Mul");
  EXPECT_EQ(graph.node(graph.node_size() - 2).op_type(), "Add");
}

TEST(ExportModel, HalvesHaveFloatEnds) {
  const GraphProto graph = CaseModel(Case("convnet")).Export({.half = true}).graph();
  EXPECT_EQ(graph.input(0).type().tensor_type().elem_type(), TensorProto::FLOAT);
  EXPECT_EQ(graph.output(0).type().tensor_type().elem_type(), TensorProto::FLOAT);
  for (const TensorProto& tensor : graph.initializer())
    EXPECT_NE(tensor.data_type(), TensorProto::FLOAT) << tensor.name();
}

TEST(ExportModel, MetadataIsSorted) {
  ExportOptions options;
  options.version = "1.2";
  options.metadata = {{"step", "3"}, {"recipe_hash", "abc"}};
  const ModelProto model = CaseModel(Case("mlp")).Export(options);
  EXPECT_EQ(model.producer_name(), "lockstep");
  EXPECT_EQ(model.producer_version(), "1.2");
  ASSERT_EQ(model.metadata_props_size(), 2);
  EXPECT_EQ(model.metadata_props(0).key(), "recipe_hash");
}

TEST(ExportModel, AllOpsWithoutARowAreListed) {
  const models::ModelConfig config = models::Parse("mlp { hidden: 4 dropout: 0.5 }");
  const auto build = [&](int64_t rows) {
    return models::Build(config, models::Features(3, 2), graph::Mode::kTrain, rows).graph;
  };
  const ModelSizes sizes{build(2), {{"batch", build(3)}}};
  try {
    ExportModel(sizes, [](const std::string&) { return std::span<const float>(); }, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), HasSubstr("dropout (1), softmax_cross_entropy (1)"));
  }
}

}  // namespace
}  // namespace lockstep::onnx

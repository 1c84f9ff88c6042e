#include "launch/export/export_onnx.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <list>

#include "base/error.h"
#include "base/files/file.h"
#include "trainer/onnx/onnx.pb.h"

namespace lockstep::launch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A run as it stands in its folder, and weights of it.
struct World {
  TrainedRun run;
  std::list<std::vector<float>> values;
  std::vector<checkpoint::NamedTensor> tensors;

  explicit World(const std::string& recipe) {
    Recipe parsed;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(recipe, &parsed));
    run = DescribeRun(parsed);
    const graph::Model model = models::Build(run.recipe.model(), run.shape, graph::Mode::kInfer, 2);
    for (const graph::ParameterInfo& info : model.parameters) {
      const graph::Value& value = model.graph.value(info.value);
      values.emplace_back(static_cast<size_t>(value.shape.size()), 0.5f);
      tensors.push_back({value.name, value.shape, values.back()});
    }
  }

  onnx::ModelProto Export(const OnnxExport& options) {
    const std::string path = testing::TempDir() + "/export_onnx_test.onnx";
    line = WriteOnnx(run, tensors, {{"step", "7"}}, path, options);
    onnx::ModelProto model;
    EXPECT_TRUE(model.ParseFromString(ReadWholeFile(FileSystem::Real(), path)));
    return model;
  }
  std::string line;
};

std::map<std::string, std::string> Metadata(const onnx::ModelProto& model) {
  std::map<std::string, std::string> metadata;
  for (const onnx::StringStringEntryProto& entry : model.metadata_props()) metadata[entry.key()] = entry.value();
  return metadata;
}

std::vector<std::string> Types(const onnx::ModelProto& model) {
  std::vector<std::string> types;
  for (const onnx::NodeProto& node : model.graph().node()) types.push_back(node.op_type());
  return types;
}

constexpr char kPictures[] = R"(
  model { mlp { hidden: 4 } }
  data {
    train { folder { path: "nowhere" } }
    normalize { mean: [0.5, 0.25, 0] deviation: 0.5 }
    class_names: ["cat", "dog \"Rex\""]
    sample { input: "image" shape: [2, 3, 3] classes: 2 }
  })";

TEST(ExportOnnx, ImagesAreBytesAsTheyLieInPictures) {
  World world(kPictures);
  const onnx::ModelProto model = world.Export({});
  EXPECT_THAT(Types(model),
              ElementsAre("Mul", "Sub", "Div", "Transpose", "Flatten", "Gemm", "Relu", "Gemm", "Identity"));
  EXPECT_EQ(world.line, "opset 17, float32, image [batch, 2, 3, 3] -> logits [batch, 2]");
  const auto metadata = Metadata(model);
  EXPECT_EQ(metadata.at("preprocessing"), "image: (x * 0.003921569 - [0.5, 0.25, 0]) / [0.5, 0.5, 0.5]");
  EXPECT_EQ(metadata.at("class_names"), R"(["cat","dog \"Rex\""])");
  EXPECT_EQ(metadata.at("step"), "7");
}

TEST(ExportOnnx, WithoutPreprocessingTheModelIsAlone) {
  World world(kPictures);
  const onnx::ModelProto model = world.Export({.half = true, .channels_first = true, .preprocessing = false});
  EXPECT_THAT(Types(model), ElementsAre("Cast", "Flatten", "Gemm", "Relu", "Gemm", "Cast", "Identity"));
  EXPECT_EQ(world.line, "opset 17, float16, image [batch, 3, 2, 3] -> logits [batch, 2]");
  EXPECT_EQ(Metadata(model).at("preprocessing"), "none");
}

TEST(ExportOnnx, ValuesAreInTheTargetsUnit) {
  World world(R"(
    model { mlp { hidden: 4 } }
    data {
      train { csv { file: "nowhere" } }
      normalize { target_mean: 3 target_deviation: 2 }
      sample { input: "features" shape: 3 targets: 2 }
    })");
  const onnx::ModelProto model = world.Export({});
  EXPECT_THAT(Types(model), ElementsAre("Gemm", "Relu", "Gemm", "Mul", "Add", "Identity"));
  EXPECT_THAT(Metadata(model).at("preprocessing"), HasSubstr("prediction: y * [2, 2] + [3, 3]"));
}

TEST(ExportOnnx, WeightsOfAnotherModelAreAnError) {
  World world(kPictures);
  world.tensors.pop_back();
  try {
    world.Export({});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    EXPECT_THAT(error.message(), HasSubstr("there is no tensor \"fc2.bias\""));
  }
}

}  // namespace
}  // namespace lockstep::launch

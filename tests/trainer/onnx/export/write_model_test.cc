#include "trainer/onnx/export/write_model.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/trainer/onnx/export/export_cases.h"

namespace lockstep::onnx {
namespace {

std::string Folder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/write_model_" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

ModelProto ReadModel(const std::string& path) {
  ModelProto model;
  EXPECT_TRUE(model.ParseFromString(ReadWholeFile(FileSystem::Real(), path)));
  return model;
}

ModelProto Wide() {
  return CaseModel({"wide", "mlp { hidden: 300 }", {.input = "features", .sample = {40}, .classes = 3}}).Export();
}

TEST(WriteModel, SmallOnesAreOneFile) {
  const std::string path = Folder("small") + "/model.onnx";
  EXPECT_EQ(WriteModel(FileSystem::Real(), path, Wide()), "");
  EXPECT_EQ(ReadModel(path).SerializeAsString(), Wide().SerializeAsString());
  EXPECT_FALSE(std::filesystem::exists(path + ".data"));
}

TEST(WriteModel, WeightsOfLargeOnesAreInASecondFile) {
  const std::string path = Folder("large") + "/model.onnx";
  ASSERT_EQ(WriteModel(FileSystem::Real(), path, Wide(), /*most=*/1000), path + ".data");
  const std::string data = ReadWholeFile(FileSystem::Real(), path + ".data");
  ModelProto model = ReadModel(path);
  int outside = 0;
  for (TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.data_location() != TensorProto::EXTERNAL) continue;
    ++outside;
    EXPECT_EQ(tensor.external_data(0).value(), "model.onnx.data");
    const size_t offset = std::stoul(tensor.external_data(1).value()),
                 length = std::stoul(tensor.external_data(2).value());
    EXPECT_EQ(offset % 4096, 0u);
    tensor.set_raw_data(data.substr(offset, length));
    tensor.clear_external_data();
    tensor.clear_data_location();
  }
  EXPECT_EQ(outside, 3);  // two weights and the first bias; the last bias is small
  EXPECT_EQ(model.SerializeAsString(), Wide().SerializeAsString());
}

}  // namespace
}  // namespace lockstep::onnx

#include "data/boxes/boxed_pictures.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/boxes/open_boxes.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

/// Four pictures of 16 x 12 pixels with a box each, as YOLO has them: picture i is of class i % 2.
class BoxedPicturesTest : public ::testing::Test {
 protected:
  BoxedPicturesTest() {
    for (const char* folder : {"images/train", "labels/train"})
      std::filesystem::create_directories(folder_.Path(folder));
    for (int i = 0; i < 4; ++i) {
      const std::string name = "train/" + std::string(1, static_cast<char>('a' + i));
      folder_.Write("images/" + name + ".png", Png(PatternImage(12, 16, static_cast<unsigned>(i))));
      folder_.Write("labels/" + name + ".txt", std::to_string(i % 2) + " 0.5 0.5 0.25 0.5\n");
    }
    folder_.Write("data.yaml", "train: images/train\nnames: [cat, dog]\n");
  }

  std::shared_ptr<const Dataset> Open() const {
    YoloBoxes config;
    config.set_file(folder_.Path("data.yaml"));
    return OpenYoloBoxes(config, "data.train.yolo", {}, {});
  }

  TempFolder folder_;
};

DataConfig Config(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

/// All fields of a sample, one behind the other.
std::vector<float> Apply(const Transform& transform, const Dataset& dataset, uint64_t id, bool augment) {
  Sample sample;
  dataset.Read(2, id, sample);
  std::vector<std::vector<float>> fields;
  std::vector<std::byte*> rows;
  for (const Field& field : transform.fields()) fields.emplace_back(static_cast<size_t>(field.shape.size()), -99.0f);
  for (std::vector<float>& field : fields) rows.push_back(reinterpret_cast<std::byte*>(field.data()));
  transform.Apply(sample, 2, id, augment, 0, rows);
  std::vector<float> all;
  for (const std::vector<float>& field : fields) all.insert(all.end(), field.begin(), field.end());
  return all;
}

const std::string kCells =
    "class_names: ['cat', 'dog'] cells { stride: 4 } pictures { height: 12 width: 16 fit: PAD } ";

TEST_F(BoxedPicturesTest, KnowTheirBoxesBeforeTheyAreRead) {
  const auto dataset = Open();
  EXPECT_EQ(dataset->size(), 4u);
  EXPECT_EQ(dataset->traits().class_names, (std::vector<std::string>{"cat", "dog"}));
  SampleSize size;
  dataset->Measure(0, 3, size);
  ASSERT_EQ(size.pictures.size(), 1u);
  EXPECT_EQ(size.pictures[0].height, 12);
  EXPECT_EQ(size.pictures[0].width, 16);
  EXPECT_EQ(size.pictures[0].boxes[0].x, 6);
  EXPECT_EQ(size.pictures[0].boxes[0].height, 6);
  EXPECT_EQ(size.pictures[0].boxes[0].category, 1);
}

TEST_F(BoxedPicturesTest, TransformCountsWhatItFills) {
  const auto plain = Open();
  const auto mosaics = WithMosaics(plain, 0.5, 7);
  const auto transform = MakeTransform(
      plain->fields(), Config(kCells + "augment { flip: true zoom { min: 0.5 move: 0.4 } mosaic: 0.5 }"), 7);
  const size_t image = 12 * 16 * 3, heat = 3 * 4 * 2, sides = 3 * 4 * 4;
  SampleSize size;
  int of_four = 0;
  for (uint64_t id = 0; id < 4; ++id) {
    mosaics->Measure(2, id, size);
    of_four += size.pictures.size() == 4;
    const LossCounts counts = transform->Count(size, 2, id, true);
    const std::vector<float> all = Apply(*transform, *mosaics, id, true);
    const auto centers = std::count(all.begin() + image, all.begin() + image + heat, 1.0f);
    const auto inside = std::count(all.begin() + image + heat + sides, all.end(), 1.0f);
    EXPECT_EQ(counts[0], static_cast<uint64_t>(centers));
    EXPECT_EQ(counts[1], static_cast<uint64_t>(inside));
    EXPECT_EQ(std::count(all.begin(), all.end(), -99.0f), 0);
  }
  EXPECT_GT(of_four, 0);
}

TEST_F(BoxedPicturesTest, UnchangedIsThePictureNormalised) {
  const auto dataset = Open();
  const auto transform =
      MakeTransform(dataset->fields(), Config(kCells + "normalize { mean: 0.25 deviation: 0.5 }"), 7);
  const std::vector<float> all = Apply(*transform, *dataset, 1, false);
  const Image picture = PatternImage(12, 16, 1);
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    ASSERT_EQ(all[i], (static_cast<float>(picture.pixels[i]) * static_cast<float>(1.0 / 255) - 0.25f) / 0.5f) << i;
}

TEST_F(BoxedPicturesTest, AreRefusedWhereTheirSizeIsAnother) {
  const auto dataset = Open();
  const auto transform = MakeTransform(dataset->fields(), Config(kCells), 7);
  folder_.Write("images/train/b.png", Png(PatternImage(13, 16, 1)));
  try {
    Apply(*transform, *dataset, 1, false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(std::string(error.what()).find("16 x 13"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("b.png"), std::string::npos) << error.what();
  }
}

TEST_F(BoxedPicturesTest, NeedADetector) {
  const auto dataset = Open();
  EXPECT_THROW(MakeTransform(dataset->fields(), Config("class_names: ['cat', 'dog']"), 7), Error);
}

TEST_F(BoxedPicturesTest, TakeTheCategoriesThatAreGiven) {
  YoloBoxes config;
  config.set_file(folder_.Path("data.yaml"));
  const auto turned = OpenYoloBoxes(config, "data.train.yolo", {}, {.class_names = {"dog", "cat"}});
  SampleSize size;
  turned->Measure(0, 3, size);
  EXPECT_EQ(size.pictures[0].boxes[0].category, 0);
  EXPECT_THROW(OpenYoloBoxes(config, "data.train.yolo", {}, {.class_names = {"cat", "horse"}}), Error);
  std::vector<std::string> told;
  OpenYoloBoxes(config, "data.train.yolo", {}, {.class_names = {"cat", "horse"}, .on_broken = [&](const Error& error) {
                                                  told.push_back(error.what());
                                                }});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("dog"), std::string::npos) << told[0];
}

}  // namespace
}  // namespace lockstep::data

// The same boxes in all formats: their numbers have the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/boxes/coco_json.h"
#include "tests/data/boxes/box_test_data.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;

BoxData AsYolo(const BoxData& data) {
  std::vector<YoloImage> images;
  for (const AnnotatedImage& image : data.images) {
    const std::string text = WriteYolo(image);
    images.push_back({"text", image.file, image.width, image.height, ReadYoloTxt(Bytes(text), {"text", "data.train"})});
  }
  return MakeYoloData(data.categories, images);
}

BoxData AsCoco(const BoxData& data) {
  const std::string text = WriteCoco(data);
  return ReadCocoJson(Bytes(text), {"instances.json", "data.train"});
}

TEST(SameBoxes, OfBccdInThreeFormatsAreTheSame) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set";
  const BoxData voc = ReadBccd(std::filesystem::path(RealData()) / "bccd");
  EXPECT_THAT(voc.categories, ElementsAre("Platelets", "RBC", "WBC"));
  // Python's ElementTree finds as many, and these areas.
  std::vector<int64_t> counts(3);
  double area = 0;
  for (const AnnotatedImage& image : voc.images)
    for (const BoxAnnotation& box : image.boxes) {
      ++counts[box.category];
      area += box.area;
    }
  EXPECT_THAT(counts, ElementsAre(361, 4153, 372));
  EXPECT_EQ(area, 57523018);
  EXPECT_EQ(voc.problems.CountOf(BoxProblem::kDegenerate), 2);
  const BoxData coco = AsCoco(voc);
  EXPECT_EQ(coco.categories, voc.categories);
  EXPECT_TRUE(coco.images == voc.images);
  EXPECT_TRUE(AsYolo(voc).images == voc.images);
  EXPECT_EQ(coco.problems.all().size(), 0);
}

TEST(SameBoxes, InHundredthsOfPixelsAreTheSame) {
  BoxData data;
  data.categories = {"a", "b"};
  data.category_ids = {0, 1};
  uint64_t state = 1;
  const auto draw = [&](uint64_t below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % below;
  };
  for (int64_t id = 0; id < 60; ++id) {
    AnnotatedImage image{fmt::format("{}.jpg", id), 100 + static_cast<int64_t>(draw(3900)), 3000, id, {}};
    for (int i = 0; i < 20; ++i) {
      const uint64_t most = image.width * 100 / 2;
      BoxAnnotation box;
      box.x = static_cast<double>(draw(most)) / 100;
      box.width = static_cast<double>(1 + draw(most)) / 100;
      box.y = static_cast<double>(draw(150000)) / 100;
      box.height = static_cast<double>(1 + draw(150000)) / 100;
      box.category = static_cast<int32_t>(draw(2));
      box.area = box.width * box.height;
      image.boxes.push_back(box);
    }
    data.images.push_back(std::move(image));
  }
  EXPECT_TRUE(AsCoco(data).images == data.images);
  EXPECT_TRUE(AsYolo(data).images == data.images);
}

TEST(MatchCategories, NumbersThemByName) {
  BoxData data;
  data.categories = {"wbc", "RBC", "WBC"};
  data.category_ids = {1, 2, 4};
  data.images.push_back({"1.jpg", 9, 9, 0, {{.category = 0}, {.category = 1}, {.category = 2}}});
  MatchCategories({"Platelets", "RBC", "WBC"}, data);
  EXPECT_THAT(data.category_ids, ElementsAre(-1, 2, 4));
  ASSERT_EQ(data.images[0].boxes.size(), 2);
  EXPECT_EQ(data.images[0].boxes[0].category, 1);
  EXPECT_EQ(data.images[0].boxes[1].category, 2);
  EXPECT_EQ(data.problems.all().at(BoxProblem::kOtherName), (BoxProblems::Found{1, "\"wbc\""}));
}

TEST(BoxProblems, EachHasWords) {
  for (int problem = 0; problem <= static_cast<int>(BoxProblem::kOutside); ++problem) {
    EXPECT_NE(NameOf(static_cast<BoxProblem>(problem)), "");
    EXPECT_NE(AdviceOn(static_cast<BoxProblem>(problem)), "");
  }
}

}  // namespace
}  // namespace lockstep::data

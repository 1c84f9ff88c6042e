#include "data/boxes/coco_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/boxes/box_test_data.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;

const Origin kOrigin = {"instances.json", "data.train.boxes"};
constexpr char kImages[] = R"("images": [{"id": 2, "file_name": "b.jpg", "width": 100, "height": 50},
                                         {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50, "coco_url": null}])";
constexpr char kCategories[] =
    R"("categories": [{"id": 9, "name": "dog", "supercategory": "animal"}, {"id": 4, "name": "cat"}])";

std::string File(const std::string& annotations, const std::string& images = kImages,
                 const std::string& categories = kCategories) {
  return "{\"info\": {\"a\": [1, {\"b\": 2}]}, " + images + ", \"annotations\": [" + annotations + "], " + categories +
         "}";
}

std::string Annotation(int id, int image, int category, const std::string& box, const std::string& more = "") {
  return fmt::format(R"({{"id": {}, "image_id": {}, "category_id": {}, "bbox": {}{}}})", id, image, category, box,
                     more);
}

BoxData Read(const std::string& json) { return ReadCocoJson(Bytes(json), kOrigin); }

void ExpectBad(const std::string& json, const std::vector<std::string>& parts) {
  ExpectError(ErrorKind::kData, parts, [&] { Read(json); });
}

TEST(CocoJson, ReadsBoxesInTheOrderOfIds) {
  const BoxData data = Read(File(
      Annotation(7, 2, 9, "[1.5, 2, 3, 4.25]", R"(, "area": 5.5, "iscrowd": 1, "segmentation": [[1, 2.5, 3]])") + "," +
      Annotation(8, 1, 4, "[1, 2, 3, 4]", R"(, "segmentation": {"counts": [1, 2], "size": [9, 9]}, "iscrowd": false)") +
      "," + Annotation(3, 2, 4, "[5, 6, 7, 8]")));
  EXPECT_THAT(data.categories, ElementsAre("cat", "dog"));
  EXPECT_THAT(data.category_ids, ElementsAre(4, 9));
  ASSERT_EQ(data.images.size(), 2);
  EXPECT_EQ(data.images[0].file, "a.jpg");
  EXPECT_EQ(data.images[0].id, 1);
  EXPECT_THAT(data.images[0].boxes, ElementsAre(BoxAnnotation{1, 2, 3, 4, 0, false, 12}));
  EXPECT_THAT(data.images[1].boxes,
              ElementsAre(BoxAnnotation{1.5, 2, 3, 4.25, 1, true, 5.5}, BoxAnnotation{5, 6, 7, 8, 0, false, 56}));
  EXPECT_TRUE(data.problems.all().empty());
}

TEST(CocoJson, ListsMayComeInAnyOrder) {
  const std::string json = std::string("{") + kCategories + ", \"annotations\": [" +
                           Annotation(1, 1, 4, "[1, 2, 3, 4]") + "], " + kImages + "}";
  EXPECT_EQ(Read(json).images[0].boxes.size(), 1);
}

TEST(CocoJson, SaysWhatIsWrongAndWhere) {
  ExpectBad("{\"images\": [", {"byte 13", "no JSON"});
  ExpectBad("[]", {"the file is a list"});
  ExpectBad("7", {"the file is a number"});
  ExpectBad("{\"images\": {}}", {"\"images\"", "no list"});
  ExpectBad("{\"images\": [[]]}", {"images[0]", "no object"});
  ExpectBad("{\"images\": [{\"id\": \"a\", \"file_name\": \"b\"}]}", {"images[0]", "\"id\" is a text"});
  ExpectBad("{\"images\": [{\"id\": 1.5, \"file_name\": \"b\"}]}", {"images[0]", "\"id\" is no whole number"});
  ExpectBad("{\"images\": [{\"id\": 1}]}", {"images[0]", "no \"file_name\""});
  ExpectBad("{\"categories\": [{\"id\": 1, \"name\": 3}]}", {"categories[0]", "\"name\" is a number"});
  ExpectBad(File(R"({"image_id": 1, "category_id": 4})"), {"annotations[0]", "\"bbox\" of four numbers"});
  ExpectBad(File(Annotation(1, 1, 4, "[1, 2, 3]")), {"annotations[0]", "\"bbox\" of four numbers"});
  ExpectBad(File(Annotation(1, 1, 4, "[1, 2, 3, \"4\"]")), {"annotations[0]", "\"bbox\" holds a text"});
  ExpectBad(File(Annotation(1, 1, 4, "[1, 2, [3], 4]")), {"annotations[0]", "\"bbox\" holds a list"});
  ExpectBad(File(Annotation(1, 1, 4, "{}")), {"annotations[0]", "\"bbox\" is an object"});
  ExpectBad(File(R"({"id": 1, "caption": "a dog", "image_id": 1})"), {"annotations[0]", "no \"category_id\""});
}

TEST(CocoJson, NamesCategoriesThatAreShiftedOrZero) {
  const std::string categories = R"("categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}])";
  const BoxData data =
      Read(File(Annotation(1, 1, 1, "[1, 2, 3, 4]") + "," + Annotation(2, 1, 2, "[1, 2, 3, 4]"), kImages, categories));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kCategoryZero), (BoxProblems::Found{1, "category 0, \"a\""}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kUnknownCategory), (BoxProblems::Found{1, "annotation 2, category 2"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kShiftedCategories),
            (BoxProblems::Found{2, "annotations have 1 to 2, the categories are 0 to 1"}));
  EXPECT_EQ(data.images[0].boxes.size(), 1);
}

TEST(CocoJson, NamesWhatIsThereTwice) {
  const std::string images = R"("images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"},
                                           {"id": 2, "file_name": "a.jpg"}])";
  const std::string categories =
      R"("categories": [{"id": 4, "name": "a"}, {"id": 4, "name": "b"}, {"id": 5, "name": "a"}])";
  const BoxData data =
      Read(File(Annotation(7, 1, 4, "[1, 2, 3, 4]") + "," + Annotation(7, 1, 4, "[1, 2, 3, 4]"), images, categories));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kRepeatedImage), (BoxProblems::Found{2, "image 1, b.jpg"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kRepeatedCategory), (BoxProblems::Found{2, "category 4, \"b\""}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kRepeatedAnnotation), (BoxProblems::Found{1, "annotation 7"}));
  EXPECT_EQ(data.images.size(), 2);
  EXPECT_EQ(data.images[0].boxes.size(), 2);
}

TEST(CocoJson, NamesAnnotationZeroAndUnknownImages) {
  const BoxData data = Read(File(Annotation(0, 1, 4, "[1, 2, 3, 4]") + "," + Annotation(1, 6, 4, "[1, 2, 3, 4]")));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kAnnotationZero), (BoxProblems::Found{1, "annotation 0"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kUnknownImage), (BoxProblems::Found{1, "annotation 1, image 6"}));
}

TEST(CocoJson, NamesBoxesThatLookLikeCorners) {
  const std::string one = Annotation(1, 1, 4, "[10, 10, 30, 30]");
  const BoxData corners = Read(File(one + "," + Annotation(2, 1, 4, "[60, 20, 90, 40]")));
  EXPECT_EQ(corners.problems.all().at(BoxProblem::kCorners), (BoxProblems::Found{1, "annotation 2"}));
  const BoxData sizes = Read(File(one + "," + Annotation(2, 1, 4, "[60, 20, 90, 10]")));
  EXPECT_EQ(sizes.problems.CountOf(BoxProblem::kCorners), 0) << "the second corner would be above the first";
  EXPECT_EQ(sizes.problems.all().at(BoxProblem::kOutside), (BoxProblems::Found{1, "annotation 2"}));
}

}  // namespace
}  // namespace lockstep::data

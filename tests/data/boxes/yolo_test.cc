#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/boxes/yolo_txt.h"
#include "data/boxes/yolo_yaml.h"
#include "tests/data/boxes/box_test_data.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Origin kText = {"1.txt", "data.train.boxes"}, kYaml = {"data.yaml", "data.train.boxes"};

BoxData Read(const std::string& text) {
  return MakeYoloData({"cat", "dog"}, {{"1.txt", "1.jpg", 200, 100, ReadYoloTxt(Bytes(text), kText)}});
}

TEST(YoloTxt, ReadsBoxesAndPolygons) {
  const BoxData data = Read("0 0.5 0.5 0.25 0.5\r\n\n1.0 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6");
  EXPECT_THAT(data.images.at(0).boxes, ElementsAre(BoxAnnotation{75, 25, 50, 50, 0, false, 2500},
                                                   BoxAnnotation{20, 20, 40, 40, 1, false, 1600}));
  EXPECT_TRUE(data.problems.all().empty());
  EXPECT_THAT(Read("").images.at(0).boxes, IsEmpty());
}

TEST(YoloTxt, SaysWhatIsWrongAndWhere) {
  const auto bad = [](const std::string& text, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { ReadYoloTxt(Bytes(text), kText); });
  };
  bad("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5\n", {"1.txt:2", "4 numbers"});
  bad("0 0.5 0.5 0.5 0.5 0.9\n", {"1.txt:1", "6 numbers", "confidence"});
  bad("0 1 2 3 4 5 6 7\n", {"8 numbers"});
  bad("cat 0.5 0.5 0.5 0.5\n", {"1.txt:1", "\"cat\" is no number"});
  bad("0 nan 0.5 0.5 0.5\n", {"\"nan\" is no number"});
  bad("-1 0.5 0.5 0.5 0.5\n", {"-1 is no category's number"});
  bad("0.5 0.5 0.5 0.5 0.5\n", {"0.5 is no category's number"});
}

TEST(YoloTxt, NamesWhatHardlyMeansWhatItSays) {
  const BoxData data = Read("2 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n0 0.1 0.1 0.3 0.3\n0 0.8 0.2 0.9 0.9\n");
  EXPECT_EQ(data.problems.all().at(BoxProblem::kUnknownCategory), (BoxProblems::Found{1, "1.txt:1, category 2"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kDegenerate), (BoxProblems::Found{1, "1.txt:2"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kOutside).first, "1.txt:3");
  EXPECT_FALSE(data.problems.all().contains(BoxProblem::kCorners)) << "the second line's width is less than its x";
  EXPECT_EQ(Read("0 0.1 0.1 0.3 0.3\n0 0.8 0.2 0.9 0.9\n").problems.CountOf(BoxProblem::kCorners), 2);
}

TEST(YoloYaml, ReadsNamesAsListsAndNumbers) {
  const std::string flow =
      "path: ../data  # where\ntrain: images/train\nval: [a, 'b c']\ntest:\nnc: 2\nnames: [cat, \"dog\"]\n";
  const YoloYaml read = ReadYoloYaml(Bytes(flow), kYaml);
  EXPECT_EQ(read.path, "../data");
  EXPECT_THAT(read.train, ElementsAre("images/train"));
  EXPECT_THAT(read.val, ElementsAre("a", "b c"));
  EXPECT_THAT(read.test, IsEmpty());
  EXPECT_THAT(read.names, ElementsAre("cat", "dog"));
  EXPECT_THAT(ReadYoloYaml(Bytes("names:\n- cat\n- 7\n"), kYaml).names, ElementsAre("cat", "7"));
  EXPECT_THAT(ReadYoloYaml(Bytes("names:\n  1: dog\n  0: cat\ndownload: |\n  a: b\n"), kYaml).names,
              ElementsAre("cat", "dog"));
}

TEST(YoloYaml, SaysWhatIsWrongAndWhere) {
  const auto bad = [](const std::string& text, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kData, parts, [&] { ReadYoloYaml(Bytes(text), kYaml); });
  };
  bad("", {"no \"names\""});
  bad("- a", {"no \"names\""});
  bad("train: a\nnames: [", {"data.yaml:3", "no YAML"});
  bad("train: {a: b}\nnames: [a]\n", {"data.yaml:1", "\"train\" is no text and no list"});
  bad("names: [a]\npath: [a]\n", {"data.yaml:2", "\"path\" is no text"});
  bad("names: [a, [b]]\n", {"\"names\" holds something that is no text"});
  bad("names:\n  1: a\n  2: b\n", {"data.yaml:3", "numbers from 0 to 1"});
  bad("names:\n  0: a\n  0: b\n", {"data.yaml:3", "numbers from 0 to 1"});
  bad("names: [a, b]\nnc: 3\n", {"data.yaml:2", "\"nc\" is 3, but there are 2 names"});
}

TEST(YoloYaml, AliasesDontMakeItLonger) {
  std::string text = "a: &a " + std::string(1000, 'x') + "\nnames: [*a";
  for (int i = 0; i < 100; ++i) text += ", *a";
  ExpectError(ErrorKind::kData, {"data.yaml:2", "aliases"}, [&] { ReadYoloYaml(Bytes(text + "]\n"), kYaml); });
}

}  // namespace
}  // namespace lockstep::data

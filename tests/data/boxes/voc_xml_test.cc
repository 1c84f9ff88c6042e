#include "data/boxes/voc_xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/boxes/box_test_data.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;

const Origin kOrigin = {"1.xml", "data.train.boxes"};

std::string Object(const std::string& name, const std::string& box, const std::string& more = "") {
  return "<object><name>" + name + "</name>" + more + box + "</object>\n";
}
std::string Corners(const std::string& xmin, const std::string& ymin, const std::string& xmax,
                    const std::string& ymax) {
  return "<bndbox><xmin>" + xmin + "</xmin><ymin>" + ymin + "</ymin><xmax>" + xmax + "</xmax><ymax>" + ymax +
         "</ymax></bndbox>";
}
std::string File(const std::string& objects) {
  return "<?xml version=\"1.0\"?>\n<annotation verified=\"yes\">\n<filename>a &amp; b.jpg</filename>\n"
         "<size><width>100</width><height>50</height><depth>3</depth></size>\n" +
         objects + "</annotation>\n";
}

void ExpectBad(const std::string& xml, const std::vector<std::string>& parts) {
  ExpectError(ErrorKind::kData, parts, [&] { ReadVocXml(Bytes(xml), kOrigin); });
}

TEST(VocXml, ReadsSizesNamesAndCorners) {
  const std::string xml = File(Object("cat", Corners("10", "5", "30", "25")) +
                               Object(" dog\n", Corners(" 0.5 ", "1", "100", "50"), "<difficult>1</difficult>"));
  const VocImage image = ReadVocXml(Bytes(xml), kOrigin);
  EXPECT_EQ(image.file, "a & b.jpg");
  const BoxData data = MakeVocData({image});
  EXPECT_THAT(data.categories, ElementsAre("cat", "dog"));
  const AnnotatedImage& read = data.images.at(0);
  EXPECT_EQ(read.width, 100);
  EXPECT_EQ(read.height, 50);
  EXPECT_THAT(read.boxes, ElementsAre(BoxAnnotation{10, 5, 20, 20, 0, false, 400},
                                      BoxAnnotation{0.5, 1, 99.5, 49, 1, true, 99.5 * 49}));
  EXPECT_TRUE(data.problems.all().empty());
}

TEST(VocXml, PartsOfObjectsAndCommentsAreLeftAside) {
  const std::string part = "<part><name>head</name>" + Corners("1", "1", "2", "2") + "</part><!-- <name>x</name> -->";
  const VocImage image = ReadVocXml(Bytes(File(Object("person", Corners("10", "5", "30", "25"), part))), kOrigin);
  ASSERT_EQ(image.objects.size(), 1);
  EXPECT_EQ(image.objects[0].name, "person");
  EXPECT_EQ(image.objects[0].xmin, 10);
}

TEST(VocXml, ReadsOtherEncodings) {
  const std::string latin1 = "<?xml version='1.0' encoding='ISO-8859-1'?><annotation>" +
                             Object("caf\xE9", Corners("1", "1", "2", "2")) + "</annotation>";
  EXPECT_EQ(ReadVocXml(Bytes(latin1), kOrigin).objects.at(0).name, "caf\xC3\xA9");
}

TEST(VocXml, SaysWhatIsWrongAndWhere) {
  ExpectBad("", {"1.xml:1", "no XML"});
  ExpectBad("<annotation>\n<object>\n</annotation>", {"1.xml:3", "mismatched tag"});
  ExpectBad("<html></html>", {"1.xml:1", "<html>", "<annotation>"});
  ExpectBad("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", {"DOCTYPE"});
  ExpectBad(File(Object("", Corners("1", "1", "2", "2"))), {"1.xml:5", "no <name>"});
  ExpectBad(File("<object><name>a</name></object>"), {"1.xml:5", "no <bndbox>"});
  ExpectBad(File(Object("a", Corners("1", "x", "2", "2"))), {"ymin", "\"x\"", "no number"});
  ExpectBad(File(Object("a", Corners("1", "nan", "2", "2"))), {"no number"});
  ExpectBad("<annotation><size><width>-3</width></size></annotation>", {"not a size"});
}

TEST(VocXml, NamesBoxesWithoutSizeAndOutsideOfThePicture) {
  const std::string xml =
      File(Object("a", Corners("10", "5", "10", "25")) + Object("a", Corners("10", "5", "102", "25")) +
           Object("a", Corners("10", "5", "101", "25")) + Object("a", Corners("9", "5", "2", "25")));
  const BoxData data = MakeVocData({ReadVocXml(Bytes(xml), kOrigin)});
  EXPECT_EQ(data.images[0].boxes.size(), 2);
  EXPECT_EQ(data.problems.all().at(BoxProblem::kDegenerate), (BoxProblems::Found{2, "1.xml:5"}));
  EXPECT_EQ(data.problems.all().at(BoxProblem::kOutside), (BoxProblems::Found{1, "1.xml:6"}));
}

TEST(VocXml, NamesFilesThatAreThereTwice) {
  const VocImage image = ReadVocXml(Bytes(File("")), kOrigin);
  const BoxData data = MakeVocData({image, image});
  EXPECT_EQ(data.problems.all().at(BoxProblem::kRepeatedImage), (BoxProblems::Found{1, "a & b.jpg"}));
  EXPECT_EQ(data.images[1].id, 1);
}

}  // namespace
}  // namespace lockstep::data

#include "launch/answers/box_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lockstep::launch {
namespace {

using metrics::Detection;

const std::vector<Detection> kBoxes = {{{1.25, 2, 30.004, 4}, 1, 0.98765}, {{0, 0, 5, 6}, 0, 0.5}};

std::string Write(BoxFormat format, const std::string& first, const std::string& second) {
  BoxWriter writer(format, {"cat", "big, dog"});
  std::string text = writer.Heading();
  text += writer.Lines(first, kBoxes);
  text += writer.Lines(second, {});
  return text + writer.End();
}

TEST(BoxWriter, WritesALineABox) {
  EXPECT_EQ(Write(BoxFormat::kCsv, "a,b.jpg", "c.jpg"),
            "picture,class,score,x,y,width,height\n"
            "\"a,b.jpg\",\"big, dog\",0.9877,1.25,2.00,30.00,4.00\n"
            "\"a,b.jpg\",cat,0.5000,0.00,0.00,5.00,6.00\n");
  EXPECT_EQ(Write(BoxFormat::kText, "a.jpg", "c.jpg"),
            "a.jpg\tbig, dog 0.99\t1,2 30x4\na.jpg\tcat 0.50\t0,0 5x6\nc.jpg\tnothing\n");
}

TEST(BoxWriter, WritesAnObjectAPicture) {
  const std::string text = Write(BoxFormat::kJsonLines, "a.jpg", "c.jpg");
  const auto first = nlohmann::json::parse(text.substr(0, text.find('\n')));
  EXPECT_EQ(first["picture"], "a.jpg");
  EXPECT_EQ(first["boxes"][0]["class"], "big, dog");
  EXPECT_EQ(first["boxes"][0]["width"], 30);
  EXPECT_EQ(first["boxes"].size(), 2u);
}

TEST(BoxWriter, WritesWhatCocosProgramsRead) {
  const auto list = nlohmann::json::parse(Write(BoxFormat::kCoco, "/x/000000000139.jpg", "c.jpg"));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["image_id"], 139);
  EXPECT_EQ(list[0]["category_id"], 2);
  EXPECT_EQ(list[0]["bbox"], (nlohmann::json{1.25, 2, 30, 4}));
  EXPECT_EQ(list[1]["score"], 0.5);
  EXPECT_EQ(nlohmann::json::parse(Write(BoxFormat::kCoco, "/x/cell7.jpg", "c.jpg"))[0]["image_id"], "cell7.jpg");
}

}  // namespace
}  // namespace lockstep::launch

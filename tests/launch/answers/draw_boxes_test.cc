#include "launch/answers/draw_boxes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lockstep::launch {
namespace {

using Color = std::array<uint8_t, 3>;

data::Image White(int64_t height, int64_t width) {
  data::Image picture;
  picture.Resize(height, width, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{255});
  return picture;
}

Color At(const data::Image& picture, int64_t y, int64_t x) {
  const uint8_t* pixel = picture.row(y) + x * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

constexpr Color kRed = {255, 0, 0}, kWhite = {255, 255, 255};

TEST(DrawBoxes, DrawsEdgesAndLeavesTheInside) {
  data::Image picture = White(40, 50);
  DrawBoxes(std::vector<DrawnBox>{{10, 5, 30, 20, "", kRed}}, picture);
  for (const auto& [y, x] : {std::pair{5, 10}, {6, 39}, {24, 10}, {24, 39}, {15, 11}, {15, 38}})
    EXPECT_EQ(At(picture, y, x), kRed) << y << " " << x;
  for (const auto& [y, x] : {std::pair{15, 12}, {15, 37}, {4, 10}, {25, 10}, {15, 9}, {15, 40}})
    EXPECT_EQ(At(picture, y, x), kWhite) << y << " " << x;
}

TEST(DrawBoxes, CutsWhatReachesOverTheEdge) {
  data::Image picture = White(20, 20);
  DrawBoxes(
      std::vector<DrawnBox>{{-10, -10, 100, 100, "a long label that is wider", kRed}, {500, 500, 5, 5, "x", kRed}},
      picture);
  EXPECT_EQ(At(picture, 19, 19), kWhite);
}

TEST(DrawBoxes, WritesLettersOverTheBox) {
  data::Image picture = White(40, 60);
  DrawBoxes(std::vector<DrawnBox>{{10, 20, 40, 15, "i", kRed}}, picture);
  // An I is white on red, five pixels wide: its middle column is inked, its corners are not.
  EXPECT_EQ(At(picture, 15, 13), kWhite);
  EXPECT_EQ(At(picture, 15, 11), kRed);
  EXPECT_EQ(At(picture, 12, 12), kWhite);
}

TEST(BoxColors, OfNeighboursDiffer) {
  for (int32_t i = 0; i < 11; ++i) EXPECT_NE(BoxColor(i), BoxColor(i + 1));
  EXPECT_EQ(BoxColor(0), BoxColor(12));
}

}  // namespace
}  // namespace lockstep::launch

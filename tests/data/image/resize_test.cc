#include "data/image/resize.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/data/image/expected_images.h"

namespace lockstep::data {
namespace {

TEST(Resize, IsPillowsToOneLevel) {
  int compared = 0;
  for (const auto& entry : ExpectedImages()["resized"]) {
    const int64_t channels = entry["channels"];
    const Image picture = ImageOf(ExpectedImages()["picture"], channels == 3 ? "rgb" : "grey", channels);
    const auto& box = entry["box"];
    ResizeScratch scratch;
    Image result;
    ResizeBox(picture, {box[1], box[0], box[3], box[2]}, entry["height"], entry["width"], scratch, result);
    const auto expected = FromHex(entry["pixels"]);
    ASSERT_EQ(result.pixels.size(), expected.size());
    int64_t others = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_LE(std::abs(result.pixels[i] - expected[i]), 1) << entry["box"] << " at " << i;
      others += result.pixels[i] != expected[i];
    }
    EXPECT_LE(others * 4, static_cast<int64_t>(expected.size())) << "hardly any differ: rounding between directions";
    ++compared;
  }
  EXPECT_EQ(compared, 12);
}

TEST(Resize, LeavesThePictureWhereNothingIsToBeDone) {
  const Image picture = ImageOf(ExpectedImages()["picture"], "rgb", 3);
  ResizeScratch scratch;
  Image result;
  ResizeBox(picture, {0, 0, 23, 37}, 23, 37, scratch, result);
  EXPECT_EQ(result.pixels, picture.pixels);
}

TEST(Resize, LooksAtNoMoreThanItSays) {
  const Resizing resizing{100, 200, {10, 20, 50, 120}, 20, 25};  // by 2 and by 4
  EXPECT_EQ(resizing.Needed(), (ImageRegion{9, 18, 42, 104}));
}

TEST(Resize, KeepsOneColour) {
  Image picture;
  picture.Resize(31, 47, 3);
  std::fill(picture.pixels.begin(), picture.pixels.end(), uint8_t{255});
  ResizeScratch scratch;
  Image result;
  for (const int64_t side : {1, 7, 30, 64}) {
    ResizeBox(picture, {0.25, 0.5, 30.75, 46.5}, side, side, scratch, result);
    for (const uint8_t value : result.pixels) ASSERT_EQ(value, 255) << side;
  }
}

}  // namespace
}  // namespace lockstep::data

#include "data/image/rand_augment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "data/image/color.h"
#include "data/random_keys.h"
#include "tests/data/image/expected_images.h"

namespace lockstep::data {
namespace {

Image Picture() { return ImageOf(ExpectedImages()["op_picture"], "rgb", 3); }

Image Apply(const nlohmann::json& entry) {
  Image image = Picture();
  const std::string op = entry["op"];
  const double value = entry.value("value", 0.0);
  if (op == "brightness") AdjustBrightness(value, image);
  if (op == "contrast") AdjustContrast(value, image);
  if (op == "saturation") AdjustSaturation(value, image);
  if (op == "sharpness") AdjustSharpness(value, image);
  if (op == "hue") AdjustHue(value, image);
  if (op == "augment")
    ApplyOp(static_cast<PictureOp>(entry["number"].get<int>()), entry["magnitude"], entry["negative"], image);
  return image;
}

TEST(PictureOps, AreTorchvisions) {
  std::map<std::string, int> compared;
  for (const auto& entry : ExpectedImages()["ops"]) {
    const Image image = Apply(entry);
    const auto expected = FromHex(entry["pixels"]);
    ASSERT_EQ(image.pixels.size(), expected.size());
    size_t others = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (image.pixels[i] != expected[i]) ++others;
      // A place that lies between two pixels may go to either; all else differs by rounding.
      if (entry.value("name", "") != "Rotate") {
        ASSERT_LE(std::abs(image.pixels[i] - expected[i]), 1) << entry.dump().substr(0, 40) << entry.value("name", "");
      }
    }
    // Where both parts of a blend are equal, the last bit of its factors says whether their sum is cut off below them.
    EXPECT_LE(others * 12, expected.size()) << entry["op"] << " " << entry.value("name", "");
    ++compared[entry["op"]];
  }
  EXPECT_EQ(compared["hue"], 2);
  EXPECT_GT(compared["augment"], 40);
}

TEST(PictureOps, LeaveGreyPicturesWithoutColours) {
  Image grey = ImageOf(ExpectedImages()["picture"], "grey", 1);
  const Image before = grey;
  AdjustHue(0.3f, grey);
  AdjustSaturation(0.1f, grey);
  EXPECT_EQ(grey.pixels, before.pixels);
  AdjustContrast(0.5f, grey);
  EXPECT_NE(grey.pixels, before.pixels);
}

TEST(RandAugment, DrawsEachOperationAsOften) {
  RandAugment config;
  config.set_ops(1);
  std::map<std::vector<uint8_t>, int> counts;  // by outcome
  constexpr int kDraws = 4000;
  for (uint64_t id = 0; id < kDraws; ++id) {
    Image image = Picture();
    AugmentAtRandom(config, {1, 0, kRandAugmentKey, id}, image);
    ++counts[image.pixels];
  }
  EXPECT_GE(counts.size(), 21u);  // 9 operations in two directions, and 5 in one, of which some may leave it as it is
  int most = 0, least = kDraws;
  for (const auto& [outcome, count] : counts) {
    most = std::max(most, count);
    least = std::min(least, count);
  }
  EXPECT_GT(least, kDraws / 28 * 7 / 10);
  EXPECT_LT(most, kDraws / 14 * 3);
}

TEST(ColorJitter, DrawsFactorsAndTheirOrder) {
  ColorJitter config;
  config.set_brightness(0.4);
  config.set_contrast(0.4);
  config.set_saturation(0.4);
  config.set_hue(0.1);
  Image first = Picture(), again = Picture(), other = Picture();
  JitterColors(config, {1, 2, kColorKey, 3}, first);
  JitterColors(config, {1, 2, kColorKey, 3}, again);
  JitterColors(config, {1, 2, kColorKey, 4}, other);
  EXPECT_EQ(first.pixels, again.pixels);
  EXPECT_NE(first.pixels, other.pixels);
  EXPECT_NE(first.pixels, Picture().pixels);
}

}  // namespace
}  // namespace lockstep::data

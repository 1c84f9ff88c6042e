#include "data/image/random_crop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/random_keys.h"

namespace lockstep::data {
namespace {

TEST(RandomCrop, KeepsItsRangesAndFillsThem) {
  constexpr int64_t kHeight = 480, kWidth = 640;
  constexpr int kDraws = 100'000;
  double least_area = 1, most_area = 0, least_ratio = 9, most_ratio = 0, area = 0, log_ratio = 0;
  for (uint64_t id = 0; id < kDraws; ++id) {
    const ImageBox box = DrawCrop({}, {1, 0, kCropKey, id}, kHeight, kWidth);
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.bottom, kHeight);
    ASSERT_LE(box.right, kWidth);
    const double share = box.height() * box.width() / (kHeight * kWidth), ratio = box.width() / box.height();
    least_area = std::min(least_area, share);
    most_area = std::max(most_area, share);
    least_ratio = std::min(least_ratio, ratio);
    most_ratio = std::max(most_ratio, ratio);
    area += share / kDraws;
    log_ratio += std::log(ratio) / kDraws;
  }
  EXPECT_NEAR(least_area, 0.08, 0.01);
  EXPECT_NEAR(most_area, 1, 0.01);
  EXPECT_NEAR(least_ratio, 0.75, 0.01);
  EXPECT_NEAR(most_ratio, 4.0 / 3, 0.01);
  EXPECT_NEAR(area, 0.4305, 0.003);       // torchvision: 0.4286 of 20,000; large ones seldom fit
  EXPECT_NEAR(log_ratio, 0.0295, 0.002);  // torchvision: 0.0283
}

TEST(RandomCrop, TakesTheMiddleWhereNoneFits) {
  RandomResizedCrop config;
  config.set_min_area(0.9);
  const ImageBox box = DrawCrop(config, {1, 0, kCropKey, 0}, 10, 1000);  // far wider than any
  EXPECT_EQ(box.height(), 10);
  EXPECT_EQ(box.width(), 13);
  EXPECT_EQ(box.left, 493);
}

TEST(MiddleOf, KeepsTheWantedShape) {
  const ImageBox box = MiddleOf(480, 640, 224, 224, 0.875);
  EXPECT_EQ(box.height(), 420);
  EXPECT_EQ(box.width(), 420);
  EXPECT_EQ(box.top, 30);
  EXPECT_EQ(box.left, 110);
  const ImageBox wide = MiddleOf(100, 100, 10, 20, 1);
  EXPECT_EQ(wide.height(), 50);
  EXPECT_EQ(wide.width(), 100);
}

}  // namespace
}  // namespace lockstep::data

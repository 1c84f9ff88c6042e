#include "data/rows/row_mixing.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/error.h"

namespace lockstep::data {
namespace {

using testing::HasSubstr;

const Field kImage{"image", DType::kF32, Shape{6, 8, 3}};
const Field kFeatures{"features", DType::kF32, Shape{5}};

Augment Config(const std::string& text) {
  Augment config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::string ErrorOf(const std::string& config, const Field& field) {
  try {
    RowMixing mixing(Config(config), field, 0);
    return "";
  } catch (const Error& error) {
    return error.where() + ": " + error.message();
  }
}

TEST(RowMixingTest, SharesHaveTheMomentsOfBeta) {
  for (const double alpha : {0.1, 0.2, 1.0, 2.0}) {
    Augment config;
    config.mutable_mixup()->set_alpha(alpha);
    const RowMixing mixing(config, kFeatures, 7);
    constexpr int kDraws = 20000;
    double sum = 0, squares = 0;
    for (uint64_t id = 0; id < kDraws; ++id) {
      const RowMix mix = mixing.Draw(3, id);
      EXPECT_FALSE(mix.cut);
      ASSERT_GE(mix.share, 0);
      ASSERT_LE(mix.share, 1);
      sum += static_cast<double>(mix.share);
      squares += static_cast<double>(mix.share) * static_cast<double>(mix.share);
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    EXPECT_NEAR(mean, 0.5, 0.015) << alpha;
    EXPECT_NEAR(variance, 1 / (4 * (2 * alpha + 1)), 0.005) << alpha;
  }
}

TEST(RowMixingTest, SharesDependOnSeedEpochAndSampleAlone) {
  const RowMixing mixing(Config("mixup {}"), kFeatures, 7), same(Config("mixup {}"), kFeatures, 7),
      other(Config("mixup {}"), kFeatures, 8);
  EXPECT_EQ(mixing.Draw(1, 2).share, same.Draw(1, 2).share);
  EXPECT_NE(mixing.Draw(1, 2).share, mixing.Draw(2, 2).share);
  EXPECT_NE(mixing.Draw(1, 2).share, mixing.Draw(1, 3).share);
  EXPECT_NE(mixing.Draw(1, 2).share, other.Draw(1, 2).share);
}

TEST(RowMixingTest, CutMixSharesAreTheAreasThatStay) {
  const RowMixing mixing(Config("cutmix {}"), kImage, 1);
  std::vector<float> other(6 * 8 * 3, 1.0f), row(6 * 8 * 3);
  double sum = 0;
  constexpr int kDraws = 2000;
  for (uint64_t id = 0; id < kDraws; ++id) {
    std::fill(row.begin(), row.end(), 0.0f);
    const RowMix mix = mixing.Draw(0, id);
    ASSERT_TRUE(mix.cut);
    mixing.MixInput(mix, other, row);
    const float replaced = std::accumulate(row.begin(), row.end(), 0.0f) / static_cast<float>(row.size());
    EXPECT_NEAR(mix.share, 1 - replaced, 1e-6);
    // All of the other's pixels lie in the box.
    for (int64_t y = 0; y < 6; ++y)
      for (int64_t x = 0; x < 8; ++x) {
        const bool inside = y >= mix.box.top && y < mix.box.bottom && x >= mix.box.left && x < mix.box.right;
        ASSERT_EQ(row[static_cast<size_t>((y * 8 + x) * 3)], inside ? 1.0f : 0.0f);
      }
    sum += static_cast<double>(replaced);
  }
  // Half of the area, less what the borders cut off.
  EXPECT_GT(sum / kDraws, 0.2);
  EXPECT_LT(sum / kDraws, 0.45);
}

TEST(RowMixingTest, WithBothAboutHalfOfTheSamplesAreCut) {
  const RowMixing mixing(Config("mixup {} cutmix {}"), kImage, 1);
  int cut = 0;
  for (uint64_t id = 0; id < 2000; ++id) cut += mixing.Draw(0, id).cut;
  EXPECT_NEAR(cut, 1000, 100);
}

TEST(RowMixingTest, RefusesWhatCannotBeMixed) {
  EXPECT_THAT(ErrorOf("cutmix {}", kFeatures), HasSubstr("data.augment.cutmix: it is for images"));
  EXPECT_THAT(ErrorOf("mixup {}", {"tokens", DType::kI32, Shape{5}}), HasSubstr("data.augment.mixup"));
  EXPECT_THAT(ErrorOf("mixup { alpha: -1 }", kFeatures), HasSubstr("data.augment.mixup.alpha: -1 is not above 0"));
  EXPECT_THAT(ErrorOf("mixup { alpha: 3 }", kFeatures), HasSubstr("3 is not above 0 and at most 2"));
  EXPECT_EQ(ErrorOf("", {"tokens", DType::kI32, Shape{5}}), "");
}

}  // namespace
}  // namespace lockstep::data

// Where the gradient of a bias comes from on an H100 or H200 of 132 processors, by hand: shapes of GPT-2 at 64 rows of
// 1,024 tokens, and others.
#include "trainer/kernels/cuda/dense/split_sums.h"

#include <gtest/gtest.h>

namespace lockstep::cuda {
namespace {

constexpr int64_t kTokens = 65536;
constexpr int kProcessors = 132;

TEST(SplitSums, ASmallWeightsGradientIsWorthReadingDyOnceMore) {
  // 72 tiles of 128 x 64 for 132 processors; 36 of 128 x 128, each in 7 or 11 parts, fill nearly all of them.
  EXPECT_NEAR(AttainedShare(768, 768, 1, kProcessors), 0.85 * 72 / 132, 1e-12);
  EXPECT_NEAR(AttainedShare(768, 768, 7, kProcessors), 252.0 / 264, 1e-12);
  EXPECT_TRUE(SumsBiasGradientApart(768, 768, kTokens, kProcessors));
}

TEST(SplitSums, TheWideLayersGoByHowLongDyIs) {
  // Three parts fit into the workspace, 432 of 528 places beside 0.85 * 288 of 396. dy is 0.1 or 0.4 GB.
  EXPECT_NEAR(AttainedShare(768, 3072, 1, kProcessors), 0.85 * 288 / 396, 1e-12);
  EXPECT_NEAR(AttainedShare(768, 3072, 3, kProcessors), 432.0 / 528, 1e-12);
  EXPECT_TRUE(SumsBiasGradientApart(768, 3072, kTokens, kProcessors));
  EXPECT_FALSE(SumsBiasGradientApart(3072, 768, kTokens, kProcessors));
  // 108 tiles fill four fifths of the card; so do two, three or four parts of each.
  EXPECT_FALSE(SumsBiasGradientApart(2304, 768, kTokens, kProcessors));
}

TEST(SplitSums, NothingChangesWhereTilesFillTheCard) {
  for (const int64_t size : {4096, 8192}) EXPECT_FALSE(SumsBiasGradientApart(size, size, kTokens, kProcessors));
  EXPECT_FALSE(SumsBiasGradientApart(50304, 768, kTokens, kProcessors));
  EXPECT_FALSE(SumsBiasGradientApart(768, 768, kTokens, 8));
}

TEST(SplitSums, ANarrowWeightIsAFewTilesOfLongSums) {
  EXPECT_TRUE(SumsBiasGradientApart(64, 768, kTokens, kProcessors));
  // Of short sums the launches cost more.
  EXPECT_FALSE(SumsBiasGradientApart(64, 768, 256, kProcessors));
}

TEST(SplitSums, PartsStayWithinTheWorkspace) {
  // Four parts of the results' 9.4 MB do not, though they would fill 576 of 660 places: three do, 432 of 528.
  const double flops = 2.0 * 3072 * 768 * kTokens, written = 3 * 3072 * 768 * sizeof(float);
  EXPECT_NEAR(SplitSumsCost(3072, 768, kTokens, kProcessors),
              flops * 528 / 432 + 2 * written * kOperationsPerByte + kOperationsPerLaunch * kProcessors, 1e-9 * flops);
  EXPECT_EQ(SplitSumsCost(8192, 8192, kTokens, kProcessors), WholeSumsCost(8192, 8192, kTokens, kProcessors));
}

TEST(SplitSums, ADeviceOfNoProcessorsDecidesNothing) { EXPECT_FALSE(SumsBiasGradientApart(768, 768, kTokens, 0)); }

}  // namespace
}  // namespace lockstep::cuda

#include "launch/scale/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace lockstep::launch {
namespace {

using testing::DoubleNear;
using testing::Pointwise;

TEST(Statistics, MediansAndTheirIntervals) {
  EXPECT_EQ(Median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_EQ(Median(std::vector<double>{4, 1, 2, 3}), 2.5);
  const Interval five = MedianInterval(std::vector<double>{5, 1, 4, 2, 3}, 0.9);
  EXPECT_EQ(five.low, 1);
  EXPECT_EQ(five.high, 5);
  EXPECT_NEAR(five.coverage, 0.9375, 1e-12);
  std::vector<double> twenty(20);
  for (size_t i = 0; i < twenty.size(); ++i) twenty[i] = static_cast<double>(i);
  const Interval narrow = MedianInterval(twenty, 0.9);
  EXPECT_EQ(narrow.low, 5);  // the sixth smallest: 1 - 2 P(B(20, 1/2) <= 5) = 0.9586
  EXPECT_EQ(narrow.high, 14);
  EXPECT_NEAR(narrow.coverage, 0.958611, 1e-6);
  EXPECT_EQ(MedianInterval(std::vector<double>{7}, 0.9).coverage, 0);
}

/// The coverage that is stated is the one that is had, for a skewed distribution too.
TEST(Statistics, IntervalsCoverAsOftenAsTheySay) {
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> skewed(0, 1);
  constexpr int kStudies = 4000;
  for (const size_t runs : {3u, 5u, 9u, 15u}) {
    int median_covered = 0, ratio_covered = 0;
    double stated = 0, ratio_stated = 0;
    for (int study = 0; study < kStudies; ++study) {
      std::vector<double> a(runs), b(runs);
      for (double& value : a) value = skewed(random);
      for (double& value : b) value = 2 * skewed(random);
      const Interval median = MedianInterval(a, 0.9);
      median_covered += median.Holds(1);
      stated = median.coverage;
      const Ratio ratio = RatioOf(b, a, 0.9);
      ratio_covered += ratio.interval.Holds(2);
      ratio_stated = ratio.interval.coverage;
    }
    EXPECT_NEAR(median_covered / double{kStudies}, stated, 0.02) << runs;
    EXPECT_NEAR(ratio_covered / double{kStudies}, ratio_stated, 0.02) << runs;
  }
}

// scipy.stats.mannwhitneyu of 5 and 5 values, exact: P(U <= 4) = 12 / 252.
TEST(Statistics, RatiosLeaveOutWhatMannAndWhitneyReject) {
  const std::vector<double> a{10, 11, 12, 13, 14}, b{5, 5.5, 6, 6.5, 7};
  const Ratio ratio = RatioOf(a, b, 0.9);
  EXPECT_EQ(ratio.estimate, 2);
  EXPECT_NEAR(ratio.interval.coverage, 1 - 2 * 12.0 / 252, 1e-12);
  std::vector<double> ratios;
  for (const double x : a)
    for (const double y : b) ratios.push_back(x / y);
  std::sort(ratios.begin(), ratios.end());
  EXPECT_EQ(ratio.interval.low, ratios[4]);
  EXPECT_EQ(ratio.interval.high, ratios[20]);
}

// scipy.stats.permutation_test of the difference of means of logarithms, exact.
TEST(Statistics, PermutationTestsCountDeals) {
  EXPECT_NEAR(PermutationTest(std::vector<double>{1, 2, 3}, std::vector<double>{4, 5, 6}, 0), 0.1, 1e-12);
  EXPECT_NEAR(PermutationTest(std::vector<double>{1, 5, 3}, std::vector<double>{2, 4, 6}, 0), 0.6, 1e-12);
  EXPECT_NEAR(PermutationTest(std::vector<double>{10, 11.5, 12, 9}, std::vector<double>{13, 12.5, 14, 11}, 0), 8.0 / 70,
              1e-12);
  EXPECT_EQ(PermutationTest(std::vector<double>{1, 2}, std::vector<double>{1, 2}, 0), 1);
}

TEST(Statistics, ManyDealsAreDrawn) {
  std::vector<double> a, b;
  for (int i = 0; i < 15; ++i) a.push_back(10 + i), b.push_back(10.5 + i);
  const double p = PermutationTest(a, b, 1);
  EXPECT_EQ(p, PermutationTest(a, b, 1));
  EXPECT_GT(p, 0.5);
  for (double& value : b) value *= 3;
  EXPECT_LT(PermutationTest(a, b, 1), 1e-4);
}

/// Of equal distributions few are told apart: at most 5 in 100 at 0.05.
TEST(Statistics, PermutationTestsAreRightlyRareOnNoise) {
  std::mt19937_64 random(6);
  std::lognormal_distribution<double> noise(0, 0.2);
  int found = 0;
  for (int study = 0; study < 1000; ++study) {
    std::vector<double> a(5), b(5);
    for (double& value : a) value = noise(random);
    for (double& value : b) value = noise(random);
    found += PermutationTest(a, b, 0) < 0.05;
  }
  EXPECT_LT(found, 70);
  EXPECT_GT(found, 15);
}

// statsmodels' multipletests(..., method="holm").
TEST(Statistics, HolmsCorrection) {
  EXPECT_THAT(HolmCorrected(std::vector<double>{0.01, 0.04, 0.03, 0.005}),
              Pointwise(DoubleNear(1e-12), {0.03, 0.06, 0.06, 0.02}));
  EXPECT_THAT(HolmCorrected(std::vector<double>{0.9, 0.8}), Pointwise(DoubleNear(1e-12), {1.0, 1.0}));
}

}  // namespace
}  // namespace lockstep::launch

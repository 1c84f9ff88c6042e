#include "launch/page/smooth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::launch {
namespace {

using testing::ElementsAre;

std::vector<Point> Rows(int count) {
  std::vector<Point> points;
  for (int i = 1; i <= count; ++i) points.push_back({10.0 * i, static_cast<double>(i)});
  return points;
}

TEST(Smooth, WindowsLieBetweenEvaluations) {
  const std::vector<Point> evaluations = {{20, 0}, {40, 0}, {60, 0}, {80, 0}, {95, 0}};
  const Windows windows = ChooseWindows(Rows(10), evaluations);
  EXPECT_EQ(InWords(windows), "mean between evaluations");
  EXPECT_THAT(Smooth(Rows(10), windows), ElementsAre(Point{15, 1.5}, Point{35, 3.5}, Point{55, 5.5}, Point{75, 7.5},
                                                     Point{90, 9}, Point{100, 10}));
}

TEST(Smooth, OfFewEvaluationsWindowsAreEquallyManyRows) {
  const Windows windows = ChooseWindows(Rows(150), {{500, 0}});
  EXPECT_EQ(InWords(windows), "mean of 3 rows");
  const std::vector<Point> means = Smooth(Rows(150), windows);
  ASSERT_EQ(means.size(), 50u);
  EXPECT_EQ(means[1], (Point{50, 5}));
  EXPECT_EQ(InWords(ChooseWindows(Rows(9), {})), "") << "each row is shown as it is";
}

TEST(Smooth, NumbersThatAreNoneAreLeftOutOfMeans) {
  std::vector<Point> rows = Rows(120);
  rows[0].y = std::nan("");
  rows[2].y = rows[3].y = HUGE_VAL;
  const std::vector<Point> means = Smooth(rows, ChooseWindows(rows, {}));
  ASSERT_EQ(means.size(), 59u) << "a window has nothing";
  EXPECT_EQ(means[0], (Point{20, 2}));
}

TEST(Smooth, OfNothingIsNothing) {
  EXPECT_TRUE(Smooth({}, ChooseWindows({}, {})).empty());
  EXPECT_THAT(Smooth(Rows(1), ChooseWindows(Rows(1), {})), ElementsAre(Point{10, 1}));
}

}  // namespace
}  // namespace lockstep::launch

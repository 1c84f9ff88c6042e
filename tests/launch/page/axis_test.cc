#include "launch/page/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::launch {
namespace {

using testing::ElementsAre;

Axis AxisOf(std::vector<double> values, AxisOptions options = {}) {
  Extent extent;
  for (const double value : values) extent.Add(value);
  return MakeAxis(extent, options, 0, 100);
}

std::vector<std::string> Texts(const Axis& axis, int wanted, bool whole = false) {
  return TickTexts(TicksOf(axis, wanted, whole));
}

TEST(Axis, TicksAreRound) {
  EXPECT_THAT(Texts(AxisOf({0, 500}), 5), ElementsAre("0", "100", "200", "300", "400", "500"));
  EXPECT_THAT(Texts(AxisOf({0.03, 0.91}), 5), ElementsAre("0.2", "0.4", "0.6", "0.8"));
  EXPECT_THAT(Texts(AxisOf({-1.5, 1.5}), 3), ElementsAre("-1", "0", "1"));
  EXPECT_THAT(Texts(AxisOf({0, 40000}), 4), ElementsAre("0", "10k", "20k", "30k", "40k"));
  EXPECT_THAT(Texts(AxisOf({0, 3e6}), 6), ElementsAre("0", "0.5M", "1.0M", "1.5M", "2.0M", "2.5M", "3.0M"));
  EXPECT_THAT(Texts(AxisOf({0, 4e-4}), 4), ElementsAre("0", "1e-4", "2e-4", "3e-4", "4e-4"));
}

TEST(Axis, StepsAreWhole) { EXPECT_THAT(Texts(AxisOf({1, 3}), 10, true), ElementsAre("1", "2", "3")); }

TEST(Axis, OfLogarithmsTicksArePowersOfTen) {
  const AxisOptions log{.log = true};
  EXPECT_THAT(Texts(AxisOf({0.001, 100}, log), 6), ElementsAre("0.001", "0.01", "0.1", "1", "10", "100"));
  EXPECT_THAT(Texts(AxisOf({0.15, 6}, log), 6), ElementsAre("0.2", "0.5", "1.0", "2.0", "5.0"));
  EXPECT_LE(TicksOf(AxisOf({1e-30, 1e30}, log), 6).size(), 8u);
  EXPECT_DOUBLE_EQ(AxisOf({1, 100}, log).At(10), 50);
}

TEST(Axis, AnyNumbersMakeOne) {
  const double nan = std::nan(""), infinity = HUGE_VAL;
  for (const bool log : {false, true})
    for (const auto& values : std::vector<std::vector<double>>{
             {}, {nan}, {infinity, -infinity}, {0}, {5}, {-5}, {0, 0}, {1e300, -1e300}, {1e-320, 1e-310}, {-3, -1}}) {
      const Axis axis = AxisOf(values, {.log = log, .margin = 0.05});
      EXPECT_LT(axis.low, axis.high);
      EXPECT_LT(TicksOf(axis, 5).size(), 30u);
      for (const double value : values)
        EXPECT_TRUE(std::isfinite(axis.At(value)) || !std::isfinite(value) || (axis.log && value <= 0)) << value;
    }
}

TEST(NumberText, IsForPeople) {
  EXPECT_EQ(NumberText(0), "0");
  EXPECT_EQ(NumberText(12345), "12,345");
  EXPECT_EQ(NumberText(-1234567), "-1,234,567");
  EXPECT_EQ(NumberText(0.123456), "0.1235");
  EXPECT_EQ(NumberText(1234.5), "1,235");
  EXPECT_EQ(NumberText(3e-7), "3e-7");
  EXPECT_EQ(NumberText(1e20), "1e20");
  EXPECT_EQ(NumberText(std::nan("")), "-");
}

}  // namespace
}  // namespace lockstep::launch

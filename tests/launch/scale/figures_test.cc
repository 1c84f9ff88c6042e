#include "launch/scale/figures.h"

#include <gtest/gtest.h>

namespace lockstep::launch {
namespace {

TEST(Figures, MillisecondsHaveThreeDigitsAndNoExponent) {
  EXPECT_EQ(Milliseconds(0.0000123), "0.0123 ms");
  EXPECT_EQ(Milliseconds(0.00196), "1.96 ms");
  EXPECT_EQ(Milliseconds(0.5571), "557 ms");
  EXPECT_EQ(Milliseconds(0.99949), "999 ms");
  EXPECT_EQ(Milliseconds(0.9996), "1000 ms");
  EXPECT_EQ(Milliseconds(1.0344), "1034 ms");
  EXPECT_EQ(Percent(0.8254), "82.5 %");
}

}  // namespace
}  // namespace lockstep::launch

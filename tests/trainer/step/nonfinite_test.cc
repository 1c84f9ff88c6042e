#include "trainer/step/nonfinite.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace lockstep::step {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(FirstNonfinite, FindsTheFirstOfEveryKindAtEveryPlace) {
  for (const float bad : {kInfinity, -kInfinity, kNan, -kNan, std::numeric_limits<float>::signaling_NaN()})
    for (size_t at = 0; at < 70; ++at) {
      std::vector<float> values(70, 1.0f);
      values[at] = bad;
      values.back() = bad;
      EXPECT_EQ(FirstNonfinite(values), static_cast<int64_t>(at)) << bad;
    }
}

TEST(FirstNonfinite, TakesTheLargestAndSmallestNumbersForFinite) {
  using Limits = std::numeric_limits<float>;
  EXPECT_EQ(FirstNonfinite(
                std::vector<float>{0.0f, -0.0f, Limits::max(), Limits::lowest(), Limits::min(), Limits::denorm_min()}),
            -1);
  EXPECT_EQ(FirstNonfinite({}), -1);
}

}  // namespace
}  // namespace lockstep::step

#include "base/build_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(BuildInfo, NamesVersionHashAndFlags) {
  EXPECT_THAT(std::string(Version()), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(std::string(BuildHash()), ::testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_THAT(std::string(BuildDescription()), ::testing::HasSubstr("-ffp-contract=off"));
}

}  // namespace
}  // namespace lockstep

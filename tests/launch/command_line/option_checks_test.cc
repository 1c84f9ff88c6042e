#include "launch/command_line/option_checks.h"

#include <gmock/gmock.h>

namespace lockstep::launch {
namespace {

using testing::HasSubstr;

std::string Said(const CLI::Validator& check, std::string value) { return check(value); }

TEST(OptionChecks, WholeNumbersHaveTheirBounds) {
  for (const std::string good : {"1", "17", "2147483647", "+3"}) EXPECT_EQ(Said(WholeNumber(1), good), "") << good;
  EXPECT_EQ(Said(WholeNumber(1), "0"), "0 is less than 1");
  EXPECT_EQ(Said(WholeNumber(1), "-3"), "-3 is less than 1");
  EXPECT_EQ(Said(WholeNumber(1), "2147483648"), "2147483648 is more than 2147483647");
  EXPECT_THAT(Said(WholeNumber(1), "99999999999999999999"), HasSubstr("is more than"));
  for (const std::string bad : {"", "x", "1.5", "1e3", "3x", " 3"})
    EXPECT_THAT(Said(WholeNumber(1), bad), HasSubstr("is not a whole number")) << bad;
  EXPECT_EQ(Said(WholeNumber(0, 10), "11"), "11 is more than 10");
}

TEST(OptionChecks, NumbersHaveThemToo) {
  EXPECT_EQ(Said(NumberBetween(0, 1), "0.5"), "");
  EXPECT_EQ(Said(NumberBetween(0, 1), "2"), "2 is not between 0 and 1");
  EXPECT_EQ(Said(NumberBetween(0, 1), "nan"), "\"nan\" is not a number");
  EXPECT_EQ(Said(PositiveNumber(), "80.5"), "");
  EXPECT_EQ(Said(PositiveNumber(), "0"), "0 is not a number above 0");
  EXPECT_EQ(Said(PositiveNumber(), "inf"), "inf is not a number above 0");
  EXPECT_EQ(Said(PositiveNumber(), "many"), "\"many\" is not a number");
}

TEST(OptionChecks, WordsAreSuggested) {
  const CLI::Validator launcher = OneOf({"mpirun", "srun"});
  EXPECT_EQ(Said(launcher, "srun"), "");
  EXPECT_EQ(Said(launcher, "mpirn"), "\"mpirn\" is none of mpirun, srun: did you mean mpirun?");
  EXPECT_EQ(Said(launcher, "ssh2"), "\"ssh2\" is none of mpirun, srun");
}

}  // namespace
}  // namespace lockstep::launch

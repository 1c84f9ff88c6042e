#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/shape.h"

namespace lockstep {
namespace {

TEST(Error, TextHasThePartsThatAreThere) {
  EXPECT_STREQ(Error(ErrorKind::kData, "bad magic", "a.idx", "unpack it").what(), "a.idx: bad magic (unpack it)");
  EXPECT_STREQ(Error(ErrorKind::kData, "bad magic").what(), "bad magic");
  EXPECT_EQ(Error(ErrorKind::kPreempted, "stop").exit_code(), 75);
}

TEST(Error, TheFirstPlaceStays) {
  const Error inner = Error(ErrorKind::kUsage, "m", "", "h").At("inner");
  EXPECT_STREQ(inner.what(), "inner: m (h)");
  EXPECT_STREQ(inner.At("outer").what(), "inner: m (h)");
}

TEST(Check, FailsWithConditionAndNumbers) {
  try {
    CHECK(1 + 1 == 3, "sizes {} and {}", 2, 3);
    FAIL() << "passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("1 + 1 == 3: sizes 2 and 3"));
  }
  EXPECT_NO_THROW(CHECK(true));
}

TEST(Shape, KnowsItsDimensionsAndSize) {
  const Shape shape = {32, 28, 0x7, 1};
  EXPECT_EQ(shape.ToString(), "[32, 28, 7, 1]");
  EXPECT_EQ(shape.size(), 32 * 28 * 7);
  EXPECT_EQ(shape.dim(-2), 7);
  EXPECT_EQ(Shape({3}).Batched(2), Shape({2, 3}));
  EXPECT_EQ(Shape().size(), 1);
  EXPECT_EQ(Shape().ToString(), "[]");
  EXPECT_THROW(shape.dim(4), Error);
  EXPECT_THROW(shape.dim(-5), Error);
}

}  // namespace
}  // namespace lockstep

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <system_error>

#include <new>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

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

// What users and batch scripts see (docs/operations.md).
TEST(ErrorKinds, HaveTheExitCodesOfTheManual) {
  const std::vector<std::tuple<ErrorKind, int, bool>> manual = {
      {ErrorKind::kInternal, 1, true},    {ErrorKind::kUsage, 2, false},    {ErrorKind::kData, 3, false},
      {ErrorKind::kCheckpoint, 4, false}, {ErrorKind::kDiverged, 5, false}, {ErrorKind::kPeer, 6, true},
      {ErrorKind::kAccess, 2, false},     {ErrorKind::kStorage, 6, true},   {ErrorKind::kFolderHeld, 2, false},
      {ErrorKind::kSuperseded, 2, false}, {ErrorKind::kMemory, 2, false},   {ErrorKind::kMixed, 2, false},
      {ErrorKind::kPreempted, 75, true}};
  EXPECT_EQ(ErrorKinds().size(), manual.size());
  for (const auto& [kind, exit_code, may_pass] : manual) {
    EXPECT_EQ(ExitCodeOf(kind), exit_code) << InfoOf(kind).name;
    EXPECT_EQ(InfoOf(kind).may_pass, may_pass) << InfoOf(kind).name;
  }
}

TEST(ErrorKinds, AreFoundByNumberAndName) {
  for (const ErrorKindInfo& info : ErrorKinds()) {
    EXPECT_EQ(ErrorKindFromNumber(static_cast<int>(info.kind)), info.kind);
    EXPECT_EQ(ErrorKindNamed(info.name), info.kind);
  }
  EXPECT_EQ(ErrorKindFromNumber(99), std::nullopt);
  EXPECT_EQ(ErrorKindNamed("of a later version"), std::nullopt);
}

// Where no verdict was left, the exit code alone has to tell whether to try again.
TEST(ErrorKinds, ThatShareAnExitCodeAgreeOnTryingAgain) {
  for (const ErrorKindInfo& info : ErrorKinds()) {
    const auto named_after = ErrorKindOfExitCode(info.exit_code);
    ASSERT_TRUE(named_after);
    EXPECT_EQ(static_cast<int>(*named_after), info.exit_code);
    EXPECT_EQ(InfoOf(*named_after).may_pass, info.may_pass) << info.name;
  }
  for (const int code : {0, 7, 130, 137}) EXPECT_EQ(ErrorKindOfExitCode(code), std::nullopt);
}

TEST(CurrentError, TellsWhatIsBeingHandled) {
  const auto handled = [](const auto& thrown) {
    try {
      throw thrown;
    } catch (...) {
      return CurrentError();
    }
  };
  EXPECT_STREQ(handled(Error(ErrorKind::kData, "m", "w", "h")).what(), "w: m (h)");
  EXPECT_EQ(handled(Error(ErrorKind::kStorage, "m")).kind(), ErrorKind::kStorage);
  EXPECT_EQ(handled(std::bad_alloc()).kind(), ErrorKind::kMemory);
  EXPECT_EQ(handled(std::runtime_error("odd")).kind(), ErrorKind::kInternal);
  EXPECT_EQ(handled(std::runtime_error("odd")).message(), "odd");
  EXPECT_EQ(handled(7).kind(), ErrorKind::kInternal);
  // What the standard library says of the system is no bug.
  const auto system = [](std::errc code) { return std::system_error(std::make_error_code(code)); };
  EXPECT_EQ(handled(system(std::errc::resource_unavailable_try_again)).kind(), ErrorKind::kMemory);
  EXPECT_THAT(handled(system(std::errc::resource_unavailable_try_again)).hint(), ::testing::HasSubstr("ulimit -u"));
  EXPECT_EQ(handled(system(std::errc::no_space_on_device)).kind(), ErrorKind::kStorage);
  const Error closed = handled(
      std::filesystem::filesystem_error("status", "/closed", std::make_error_code(std::errc::permission_denied)));
  EXPECT_EQ(closed.kind(), ErrorKind::kAccess);
  EXPECT_THAT(closed.what(), ::testing::HasSubstr("/closed: can't use it: Permission denied"));
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

#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void LogOneOfEach() {
  LogInfo("quiet {}", 1);
  LogNote("noted {}", 2);
  LogWarning("warned {}", 3);
}

// First in its program: nobody has started the log.
TEST(Log, BeforeItStartsNotesAndWarningsGoToStandardError) {
  testing::internal::CaptureStderr();
  LogOneOfEach();
  FlushLog();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "note: noted 2\nwarning: warned 3\n");
}

TEST(Log, RankZeroWritesToBothPlaces) {
  const TemporaryFolder folder;
  const std::string path = folder / "logs/rank-0.log";
  StartLog(path, true, 0);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  LogOneOfEach();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "note: noted 2\nwarning: warned 3\n");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "") << "standard output belongs to results";
  EXPECT_THAT(Contents(path), AllOf(HasSubstr("rank 0: quiet 1\n"), HasSubstr("rank 0: note: noted 2\n"),
                                    HasSubstr("rank 0: warning: warned 3\n")))
      << "a warning is in the file at once";
  LogInfo("late");
  FlushLog();
  EXPECT_THAT(Contents(path), HasSubstr("late"));
  StartLog("", true, 0);
}

TEST(Log, OtherRanksWriteToTheirFilesAloneAndAppend) {
  const TemporaryFolder folder;
  const std::string path = folder / "rank-3.log";
  std::ofstream(path) << "an earlier attempt\n";
  StartLog(path, false, 3);
  testing::internal::CaptureStderr();
  LogOneOfEach();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(Contents(path), AllOf(HasSubstr("an earlier attempt\n"), HasSubstr("rank 3: warning: warned 3\n")));
  StartLog("", true, 0);
}

TEST(Log, AFileThatCannotBeOpenedIsAUsageError) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "";
  try {
    StartLog(folder / "file/rank-0.log", true, 0);
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kAccess);
    EXPECT_EQ(error.where(), folder / "file/rank-0.log");
  }
}

TEST(Log, AFullDiskIsSaidOnceAndStopsNothing) {
  StartLog("/dev/full", true, 0);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    LogInfo("line");
    FlushLog();
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("warning: can't write the log"));
  EXPECT_EQ(said.find("warning"), said.rfind("warning"));
  StartLog("", true, 0);
}

}  // namespace
}  // namespace lockstep

#include "launch/scale/run_to_end.h"

#include <gtest/gtest.h>

#include "base/files/file.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

TEST(LastLine, IsTheLastOneWithWords) {
  EXPECT_EQ(LastLine(""), "");
  EXPECT_EQ(LastLine("\n===\n \n"), "");
  EXPECT_EQ(LastLine("one"), "one");
  EXPECT_EQ(LastLine("one\ntwo\n\n"), "two");
  EXPECT_EQ(LastLine("first\n  traceback : Signal 6 received\n======\n"), "  traceback : Signal 6 received");
}

TEST(RunToEnd, KeepsWhatWasSaidAndTheCode) {
  const TemporaryFolder folder;
  const std::string log = folder / "log";
  EXPECT_EQ(RunToEnd({"sh", "-c", "echo \"$WORD\"; exit 3"}, log, {{"WORD", "said"}}), 3);
  EXPECT_EQ(ReadWholeFile(FileSystem::Real(), log), "said\n");
}

}  // namespace
}  // namespace lockstep::launch

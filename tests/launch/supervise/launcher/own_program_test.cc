// The way to this program after another one was installed in its place.
#include "launch/supervise/launcher/own_program.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

void Install(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << "#!/bin/sh\n";
  fs::permissions(path, fs::perms::owner_all);
}

TEST(OwnProgram, IsTheOneThatRuns) {
  EXPECT_EQ(OwnProgram(), fs::read_symlink("/proc/self/exe").string());
  EXPECT_TRUE(IsProgram(OwnProgram()));
  EXPECT_FALSE(IsProgram(fs::temp_directory_path()));
}

TEST(OwnProgram, OneThatWasReplacedIsFoundUnderTheSamePath) {
  const TemporaryFolder folder;
  Install(folder / "bin/lockstep");
  EXPECT_EQ(ChooseProgram(folder / "bin/lockstep (deleted)", folder / "bin/lockstep"), folder / "bin/lockstep");
}

TEST(OwnProgram, OneThatMovedIsFoundByTheLinkThatItWasStartedBy) {
  const TemporaryFolder folder;
  Install(folder / "2/lockstep");
  fs::create_symlink("2", folder / "current");
  EXPECT_EQ(ChooseProgram(folder / "1/lockstep (deleted)", folder / "current/lockstep"), folder / "current/lockstep");
  // Where the one that runs is still there, it is the one to start again.
  Install(folder / "1/lockstep");
  EXPECT_EQ(ChooseProgram(folder / "1/lockstep", folder / "current/lockstep"), folder / "1/lockstep");
}

TEST(OwnProgram, WhereThereIsNoneItIsNamedAsItWas) {
  const TemporaryFolder folder;
  EXPECT_EQ(ChooseProgram(folder / "lockstep (deleted)", folder / "x"), folder / "lockstep");
  Install(folder / "odd (deleted)");
  EXPECT_EQ(ChooseProgram(folder / "odd (deleted)", ""), folder / "odd (deleted)");
}

}  // namespace
}  // namespace lockstep::launch

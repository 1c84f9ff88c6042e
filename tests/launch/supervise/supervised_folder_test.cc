// What a supervisor sees of the run's folder while a fresh start moves an old run aside.
#include "launch/supervise/supervised_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/base/temporary_folder.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::launch {
namespace {

class SupervisedFolders : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void BeginRun(const std::string& when) { Write("attempts.jsonl", "{\"attempt\": 1, \"time\": " + when + "}\n"); }
  void CommitCheckpoint(uint64_t step) {
    Write("checkpoints/" + checkpoint::FolderName(step) + "/" + checkpoint::kManifestName, "");
  }

  const TemporaryFolder folder_;
};

TEST_F(SupervisedFolders, ARunGoesOnFromItsNewestCheckpoint) {
  BeginRun("1");
  CommitCheckpoint(20);
  CommitCheckpoint(30);
  SupervisedFolder folder(folder_.path(), /*fresh=*/false);
  EXPECT_FALSE(folder.holds_old_run());
  EXPECT_TRUE(folder.Look());
  EXPECT_EQ(folder.NextStep(), 30u);
  EXPECT_EQ(folder.Progress(), 30u);
}

TEST_F(SupervisedFolders, AnOldRunCountsForNothingUntilAFreshStartHasMovedItAside) {
  BeginRun("1");
  CommitCheckpoint(30);
  SupervisedFolder folder(folder_.path(), /*fresh=*/true);
  for (int look = 0; look < 2; ++look) {
    EXPECT_TRUE(folder.holds_old_run());
    EXPECT_EQ(folder.NextStep(), 0u);
    EXPECT_EQ(folder.Progress(), 0u);
    EXPECT_FALSE(folder.Look());
  }
  std::filesystem::remove_all(folder_.path());  // moved aside; the new run's files are not there yet
  EXPECT_FALSE(folder.Look());
  EXPECT_TRUE(folder.holds_old_run());
  BeginRun("2");
  CommitCheckpoint(5);
  EXPECT_TRUE(folder.Look());
  EXPECT_FALSE(folder.holds_old_run());
  EXPECT_EQ(folder.NextStep(), 5u);
  EXPECT_EQ(folder.Progress(), 5u);
}

TEST_F(SupervisedFolders, WithoutAnOldRunAFreshStartIsLikeAnother) {
  SupervisedFolder folder(folder_ / "new", /*fresh=*/true);
  EXPECT_FALSE(folder.holds_old_run());
  EXPECT_FALSE(folder.Look());
  Write("new/attempts.jsonl", "{\"attempt\": 1}\n");
  EXPECT_TRUE(folder.Look());
}

}  // namespace
}  // namespace lockstep::launch

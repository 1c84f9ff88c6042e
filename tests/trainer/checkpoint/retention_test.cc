// Which checkpoints are found, which are kept, and which go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kAnyStep = ~uint64_t{0};

class Retention : public testing::Test {
 protected:
  Retention() {
    for (const uint64_t step : {100, 200, 300, 400, 500})
      SmallRun(1, 16, step).Write(files_, "run/checkpoints", step, 1, 2, 4);
  }
  void Damage(uint64_t step) { files_.Bytes("run/checkpoints/" + FolderName(step) + "/" + ShardName(0, 1))[4097] ^= 4; }
  uint64_t Newest(uint64_t at_most = kAnyStep) {
    passed_over_.clear();
    const std::unique_ptr<Reader> reader = FindNewest(files_, "run/checkpoints", at_most, &passed_over_);
    return reader ? reader->manifest().step() : 0;
  }

  MemoryFileSystem files_;
  std::vector<std::string> passed_over_;
};

TEST_F(Retention, TheNewestIsFoundUpToAGivenStep) {
  EXPECT_EQ(Newest(), 500u);
  EXPECT_EQ(Newest(499), 400u);
  EXPECT_EQ(Newest(99), 0u);
  EXPECT_TRUE(passed_over_.empty());
}

TEST_F(Retention, StepsAreOrderedAsNumbersNotAsNames) {
  SmallRun(1, 16, 1).Write(files_, "run/checkpoints", 123'456'789, 1, 1);
  EXPECT_EQ(Newest(), 123'456'789u);
}

TEST_F(Retention, DamagedCheckpointsArePassedOverWithALineEach) {
  Damage(500);
  files_.RemoveAll("run/checkpoints/step-00000400/" + ShardName(1, 1));
  EXPECT_EQ(Newest(), 300u);
  ASSERT_EQ(passed_over_.size(), 2u);
  EXPECT_THAT(passed_over_[0], HasSubstr("step-00000500/rank-00000.attempt-0001.shard: chunk 0 at byte 4096"));
  EXPECT_THAT(passed_over_[1], HasSubstr("step-00000400/rank-00001.attempt-0001.shard: can't open"));
}

TEST_F(Retention, AnUnfinishedCheckpointIsPassedOverInSilence) {
  files_.RemoveAll("run/checkpoints/step-00000500/manifest.pb");
  EXPECT_EQ(Newest(), 400u);
  EXPECT_TRUE(passed_over_.empty());
}

TEST_F(Retention, TheNewestAndPinnedOnesStay) {
  const uint64_t pinned[] = {100};
  RemoveOld(files_, "run/checkpoints", 3, pinned);
  EXPECT_THAT(ListSteps(files_, "run/checkpoints"), ElementsAre(100, 300, 400, 500));
  EXPECT_THAT(files_.List("run/checkpoints"),
              ElementsAre("step-00000100", "step-00000300", "step-00000400", "step-00000500"));
}

TEST_F(Retention, AtLeastTwoStay) {
  RemoveOld(files_, "run/checkpoints", 0, {});
  EXPECT_THAT(ListSteps(files_, "run/checkpoints"), ElementsAre(400, 500));
  RemoveOld(files_, "run/checkpoints", 3, {});
  EXPECT_THAT(ListSteps(files_, "run/checkpoints"), ElementsAre(400, 500));
}

TEST_F(Retention, UnfinishedFoldersOlderThanTheNewestGoAndYoungerStay) {
  files_.CreateFolders("run/checkpoints/step-00000450");
  files_.CreateFolders("run/checkpoints/step-00000600");
  files_.CreateFolders("run/checkpoints/mine");
  RemoveOld(files_, "run/checkpoints", 5, {});
  EXPECT_FALSE(files_.Exists("run/checkpoints/step-00000450"));
  EXPECT_TRUE(files_.Exists("run/checkpoints/step-00000600"));
  EXPECT_TRUE(files_.Exists("run/checkpoints/mine"));
}

TEST_F(Retention, UnfinishedFilesInWholeCheckpointsGo) {
  for (const char* name : {"manifest.pb.tmp", "rank-00001.attempt-0001.shard.tmp", "mine.tmp"})
    files_.Create(std::string("run/checkpoints/step-00000400/") + name)->Close();
  RemoveOld(files_, "run/checkpoints", 5, {});
  EXPECT_FALSE(files_.Exists("run/checkpoints/step-00000400/manifest.pb.tmp"));
  EXPECT_FALSE(files_.Exists("run/checkpoints/step-00000400/rank-00001.attempt-0001.shard.tmp"));
  EXPECT_TRUE(files_.Exists("run/checkpoints/step-00000400/mine.tmp"));
  EXPECT_THAT(ListSteps(files_, "run/checkpoints"), ElementsAre(100, 200, 300, 400, 500));
}

TEST_F(Retention, ADamagedOneThatWasSetAsideDoesNotPushGoodOnesOut) {
  Damage(500);
  EXPECT_EQ(Newest(), 400u);
  SetAsideNewer(files_, "run/checkpoints", 400);
  EXPECT_TRUE(files_.Exists("run/checkpoints/step-00000500-set-aside"));
  SmallRun(1, 16, 9).Write(files_, "run/checkpoints", 450, 2, 1, 4);
  RemoveOld(files_, "run/checkpoints", 2, {});
  EXPECT_THAT(ListSteps(files_, "run/checkpoints"), ElementsAre(400, 450));
  SmallRun(1, 16, 9).Write(files_, "run/checkpoints", 550, 2, 1, 4);
  RemoveOld(files_, "run/checkpoints", 2, {});
  EXPECT_THAT(files_.List("run/checkpoints"), ElementsAre("step-00000450", "step-00000550"));
}

TEST_F(Retention, ARunFolderMeansItsNewestGoodCheckpoint) {
  Damage(500);
  EXPECT_EQ(OpenPath(files_, "run")->manifest().step(), 400u);
  EXPECT_EQ(OpenPath(files_, "run/checkpoints")->manifest().step(), 400u);
  EXPECT_EQ(OpenPath(files_, "run/checkpoints/step-00000200")->manifest().step(), 200u);
}

TEST_F(Retention, PathsWithoutACheckpointSaySo) {
  const auto message = [&](const std::string& path) { return CheckpointErrorOf([&] { OpenPath(files_, path); }); };
  EXPECT_THAT(message("nowhere"), testing::StartsWith("nowhere: no such folder (name a run's folder"));
  files_.CreateFolders("empty/checkpoints");
  EXPECT_EQ(message("empty"), "empty: the run has no checkpoint yet (train it first)");
  EXPECT_THAT(message("empty/checkpoints"), HasSubstr("no manifest.pb"));
  for (const uint64_t step : {100, 200, 300, 400, 500}) Damage(step);
  EXPECT_THAT(message("run"),
              testing::StartsWith("run: none of the run's checkpoints is whole (copy a whole one back"));
}

TEST_F(Retention, DiscardUnfinishedLeavesCommittedOnesAlone) {
  files_.RemoveAll("run/checkpoints/step-00000500/manifest.pb");
  DiscardUnfinished(files_, "run/checkpoints/step-00000500");
  DiscardUnfinished(files_, "run/checkpoints/step-00000400");
  EXPECT_FALSE(files_.Exists("run/checkpoints/step-00000500"));
  EXPECT_EQ(Newest(), 400u);
}

}  // namespace
}  // namespace lockstep::checkpoint

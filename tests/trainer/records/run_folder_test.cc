#include "trainer/records/run_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::records {
namespace {

class RunFolderTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& bytes) {
    WriteFileAtomically(files_, folder_.path() + "/" + name, bytes);
  }
  std::string Read(const std::string& name) {
    const std::string path = folder_.path() + "/" + name;
    return files_.Exists(path) ? ReadWholeFile(files_, path) : "";
  }

  TemporaryFolder temporary_;
  FileSystem& files_ = FileSystem::Real();
  RunFolder folder_{files_, temporary_ / "run"};
};

TEST_F(RunFolderTest, MakesItsFoldersAndLeavesNothingElse) {
  folder_.Create();
  folder_.Create();
  EXPECT_EQ(files_.List(folder_.path()), (std::vector<std::string>{"checkpoints", "logs"}));
  EXPECT_FALSE(folder_.HasRun());
  EXPECT_EQ(folder_.checkpoint(1200), folder_.path() + "/checkpoints/step-00001200");
  EXPECT_EQ(folder_.log(3), folder_.path() + "/logs/rank-3.log");
}

TEST_F(RunFolderTest, AFileInTheWayIsAUsageErrorThatNamesIt) {
  WriteFileAtomically(files_, folder_.path(), "not a folder");
  try {
    folder_.Create();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find(folder_.path()), std::string::npos) << error.what();
  }
}

TEST_F(RunFolderTest, AttemptsAreNumberedFromOne) {
  folder_.Create();
  EXPECT_FALSE(folder_.LastAttempt());
  RunFolder::Attempt attempt;
  attempt.host = "h1";
  attempt.ranks = 4;
  attempt.build_hash = "b1";
  attempt.numerics = {{"cpu", "EPYC"}, {"libc", "2.36"}};
  EXPECT_EQ(folder_.BeginAttempt(attempt), 1u);
  attempt.from_step = 120;
  attempt.build_hash = "b2";
  EXPECT_EQ(folder_.BeginAttempt(attempt), 2u);

  // Another process.
  RunFolder again(files_, folder_.path());
  const std::optional<RunFolder::Attempt> last = again.LastAttempt();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->number, 2u);
  EXPECT_EQ(last->host, "h1");
  EXPECT_EQ(last->ranks, 4);
  EXPECT_EQ(last->from_step, 120u);
  EXPECT_EQ(last->build_hash, "b2");
  EXPECT_EQ(last->numerics, attempt.numerics);
  EXPECT_EQ(again.BeginAttempt(attempt), 3u);
  const std::string text = Read("attempts.jsonl");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST_F(RunFolderTest, MetricsPastTheStepAreSetAside) {
  folder_.Create();
  Write("metrics.jsonl",
        "{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"split\":\"test\"}\n{\"step\":30,\"loss\":1}"
        "\n");
  folder_.DiscardMetricsAfter(20);
  EXPECT_EQ(Read("metrics.jsonl"),
            "{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"split\":\"test\"}\n");
  EXPECT_EQ(Read("metrics.discarded.jsonl"), "{\"step\":30,\"loss\":1}\n");

  folder_.DiscardMetricsAfter(10);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10,\"loss\":3}\n");
  EXPECT_EQ(Read("metrics.discarded.jsonl"),
            "{\"step\":30,\"loss\":1}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"split\":\"test\"}\n");

  folder_.DiscardMetricsAfter(10);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10,\"loss\":3}\n");
}

TEST_F(RunFolderTest, AnEvaluationThatTheCheckpointDoesNotKnowIsSetAside) {
  folder_.Create();
  Write("metrics.jsonl",
        "{\"step\":10,\"split\":\"test\"}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"split\":\"test\"}\n");
  folder_.DiscardMetricsAfter(20, false);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10,\"split\":\"test\"}\n{\"step\":20,\"loss\":2}\n");
  EXPECT_EQ(Read("metrics.discarded.jsonl"), "{\"step\":20,\"split\":\"test\"}\n");
}

TEST_F(RunFolderTest, ATornLastRowIsSetAside) {
  folder_.Create();
  Write("metrics.jsonl", "{\"step\":10}\n{\"step\":20,\"lo");
  folder_.DiscardMetricsAfter(100);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10}\n");
  EXPECT_EQ(Read("metrics.discarded.jsonl"), "{\"step\":20,\"lo\n");
}

TEST_F(RunFolderTest, ALastRowWithoutItsEndOfLineGetsOne) {
  // Otherwise the next row would be appended to it.
  folder_.Create();
  Write("metrics.jsonl", "{\"step\":10}\n{\"step\":20}");
  folder_.DiscardMetricsAfter(20);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10}\n{\"step\":20}\n");
  EXPECT_EQ(Read("metrics.discarded.jsonl"), "");
}

TEST_F(RunFolderTest, WithoutMetricsThereIsNothingToDiscard) {
  folder_.Create();
  folder_.DiscardMetricsAfter(0);
  EXPECT_EQ(files_.List(folder_.path()), (std::vector<std::string>{"checkpoints", "logs"}));
}

TEST_F(RunFolderTest, TheDoneMarkerHoldsTheLastLine) {
  folder_.Create();
  EXPECT_FALSE(folder_.ReadDone());
  folder_.WriteDone({"done name=x \"quoted\"", "0123", 77});
  const std::optional<RunFolder::Done> done = folder_.ReadDone();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->line, "done name=x \"quoted\"");
  EXPECT_EQ(done->identity_hash, "0123");
  EXPECT_EQ(done->step, 77u);
  folder_.RemoveDone();
  EXPECT_FALSE(folder_.ReadDone());
  folder_.RemoveDone();
}

TEST_F(RunFolderTest, ADamagedDoneMarkerIsNone) {
  folder_.Create();
  Write("done.json", "{\"line\": \"do");
  EXPECT_FALSE(folder_.ReadDone());
}

TEST_F(RunFolderTest, OldRunsMoveAsideUnderFreshNames) {
  EXPECT_EQ(folder_.MoveAside(), "");
  std::vector<std::string> names;
  for (int run = 1; run <= 3; ++run) {
    folder_.Create();
    Write("recipe.textproto", std::to_string(run));
    EXPECT_TRUE(folder_.HasRun());
    names.push_back(folder_.MoveAside());
    EXPECT_FALSE(files_.Exists(folder_.path()));
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{temporary_ / "run.old", temporary_ / "run.old-2", temporary_ / "run.old-3"}));
  for (int run = 1; run <= 3; ++run)
    EXPECT_EQ(ReadWholeFile(files_, names[static_cast<size_t>(run - 1)] + "/recipe.textproto"), std::to_string(run));
}

}  // namespace
}  // namespace lockstep::records

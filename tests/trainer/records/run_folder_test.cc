#include "trainer/records/run_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/fault_file_system.h"
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

TEST_F(RunFolderTest, AFileInTheWayIsAnErrorThatNamesIt) {
  WriteFileAtomically(files_, folder_.path(), "not a folder");
  try {
    folder_.Create();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kAccess);
    EXPECT_NE(std::string(error.what()).find(folder_.path()), std::string::npos) << error.what();
  }
}

TEST_F(RunFolderTest, EachFolderIsTriedBeforeTheFirstStep) {
  for (const std::string part : {"", "checkpoints/", "logs/"}) {
    FaultFileSystem failing(
        FileSystem::Real(),
        {.at = 1, .fault = Fault::kFail, .error_number = EACCES, .path_part = folder_.path() + "/" + part + ".probe"});
    try {
      RunFolder(failing, folder_.path()).Create();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kAccess);
      EXPECT_NE(std::string(error.what()).find(part + ".probe"), std::string::npos) << error.what();
    }
  }
}

TEST_F(RunFolderTest, AttemptsAreNumberedFromOne) {
  folder_.Create();
  EXPECT_FALSE(folder_.LastAttempt());
  AttemptStart attempt;
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
  const std::optional<AttemptStart> last = again.LastAttempt();
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

TEST_F(RunFolderTest, ADamagedRowsNumberIsNotGivenAgain) {
  folder_.Create();
  Write("attempts.jsonl", "{\"attempt\":1}\n{\"attempt\":\"2\",\"host\":7}\n{\"attem");
  EXPECT_EQ(folder_.LastAttempt()->number, 1u);
  EXPECT_EQ(folder_.BeginAttempt({}), 3u);
  EXPECT_EQ(folder_.BeginAttempt({}), 4u + 1) << "its rows are four lines by now";
}

TEST_F(RunFolderTest, MetricsOfWrongTypesAreSetAside) {
  folder_.Create();
  Write("metrics.jsonl", "{\"step\":10}\n{\"step\":\"x\"}\n{\"step\":-3}\n[1]\n");
  folder_.DiscardMetricsAfter(20);
  EXPECT_EQ(Read("metrics.jsonl"), "{\"step\":10}\n");
}

TEST_F(RunFolderTest, TheFirstOfSeveralVerdictsStaysWhole) {
  folder_.Create();
  ASSERT_EQ(folder_.BeginAttempt({}), 1u);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 6; ++rank)
    ranks.emplace_back([&, rank] {
      const std::string words(1000 * static_cast<size_t>(rank + 1), static_cast<char>('a' + rank));
      RunFolder(files_, folder_.path()).WriteEnding({1, ErrorKind::kStorage, 6, words, "", 3, ""});
    });
  for (std::thread& rank : ranks) rank.join();
  const std::string first = Read("verdict.json");
  const auto ending = ParseEnding(first);
  ASSERT_TRUE(ending) << first;
  EXPECT_EQ(ending->message, std::string(1000 * static_cast<size_t>(ending->message[0] - 'a' + 1), ending->message[0]));
  folder_.WriteEnding({1, ErrorKind::kPeer, 6, "a peer failed", "", 3, ""});
  EXPECT_EQ(Read("verdict.json"), first);
  EXPECT_EQ(files_.List(folder_.path()),
            (std::vector<std::string>{"attempts.jsonl", "checkpoints", "logs", "verdict.json"}));
  // The next attempt has not ended yet.
  folder_.BeginAttempt({});
  EXPECT_EQ(Read("verdict.json"), "");
}

TEST_F(RunFolderTest, AVerdictThatCantBeWrittenIsNoError) {
  folder_.Create();
  FaultFileSystem failing(files_, {.at = 1, .fault = Fault::kFail, .and_after = true, .error_number = EIO});
  RunFolder(failing, folder_.path()).WriteEnding({1, ErrorKind::kStorage, 6, "EIO", "", 3, ""});
  EXPECT_EQ(Read("verdict.json"), "");
}

TEST_F(RunFolderTest, WhatKilledWritersHaveLeftGoes) {
  folder_.Create();
  files_.CreateFolders(folder_.flight_records(1));
  const std::vector<std::string> own = {"recipe.textproto", "metrics.jsonl", "attempts.jsonl",
                                        "done.json",        "verdict.json",  "certificate.json"};
  for (const std::string& name : own) Write(name, "kept");
  for (const std::string& name : own) {
    files_.Create(TemporaryName(folder_.path() + "/" + name));
    files_.Create(folder_.path() + "/" + name + ".tmp");  // of older versions
  }
  for (const char* name : {"/.probe", "/.witness-7", "/flight/attempt-1/rank-0.pb", "/notes.tmp", "/lease.json.x.tmp"})
    files_.Create(folder_.path() + name);
  files_.Create(TemporaryName(folder_.path() + "/.probe"));
  files_.Create(TemporaryName(folder_.flight_records(1) + "/rank-0.pb"));
  files_.Create(folder_.flight_records(1) + "/rank-0.pb.tmp");

  folder_.RemoveLeftovers();
  std::vector<std::string> left = own;
  // Not the run's, and another job's that waits for the lease.
  for (const char* name : {"checkpoints", "flight", "logs", "lease.json.x.tmp", "notes.tmp"}) left.emplace_back(name);
  std::sort(left.begin(), left.end());
  EXPECT_EQ(files_.List(folder_.path()), left);
  EXPECT_EQ(files_.List(folder_.flight_records(1)), std::vector<std::string>{"rank-0.pb"});

  FaultFileSystem failing(files_, {.operation = FileOperation::kList, .at = 1, .fault = Fault::kFail});
  RunFolder(failing, folder_.path()).RemoveLeftovers();
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
  const std::optional<RunDone> done = folder_.ReadDone();
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

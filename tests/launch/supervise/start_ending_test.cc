// What is made of the end of a start: shells stand for mpirun, and folders for those of runs.
#include "launch/supervise/start_ending.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "launch/supervise/launcher/rank_environment.h"
#include "launch/supervise/start_command.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

class StartEndings : public testing::Test {
 protected:
  StartEndings() : folder_(fs::path(testing::TempDir()) / "start_ending") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~StartEndings() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void CommitCheckpoint(uint64_t step) {
    Write("checkpoints/" + checkpoint::FolderName(step) + "/" + checkpoint::kManifestName, "");
  }

  /// A start whose launcher runs `script` in the folder and says `said`.
  StartEnding Start(const std::string& script, const std::string& said = "", const std::string& name = "mpirun",
                    LauncherEnd end = LauncherEnd::kByItself) {
    before_ = LookBeforeStart(files_);
    ChildProcess launcher({"sh", "-c", "cd " + folder_.string() + "; " + script}, {});
    while (!launcher.Poll()) std::this_thread::yield();
    LauncherOutput output;
    output.Add(said);
    return GatherStartEnding(before_, {name, {}, launcher}, output, requests_, files_, end);
  }

  fs::path folder_;
  records::RunFolderReader files_{folder_.string()};
  StopRequests requests_;
  BeforeStart before_;
};

TEST_F(StartEndings, ADoneRunIsDone) {
  Write("done.json", "{}");
  const StartEnding ending = Start("exit 0");
  EXPECT_EQ(ending.outcome.launcher_code, 0);
  EXPECT_FALSE(ending.facts.not_done);
}

TEST_F(StartEndings, ALaunchersZeroAloneIsNoEnd) {
  const StartEnding ending = Start("exit 0");
  EXPECT_TRUE(ending.facts.not_done);
  EXPECT_EQ(ending.outcome.launcher_code, kPeerCode);
}

TEST_F(StartEndings, WithoutALauncherTheChildIsTheRank) {
  const StartEnding ending = Start("kill -9 $$", "", NameOf(Launcher::kNone));
  EXPECT_EQ(ending.facts.launcher_signal, 0);
  EXPECT_EQ(ending.facts.events.signal, SIGKILL);
  EXPECT_EQ(CauseOf(ending.facts).name, "killed rank");
  EXPECT_EQ(Start("exit 5", "", NameOf(Launcher::kNone)).outcome.launcher_code, 5);
}

TEST_F(StartEndings, OfALauncherThatHadToBeKilledTheRanksEndingCounts) {
  const std::string verdict = R"(echo '{"attempt": 1, "exit_code": 0, "message": "done"}' >verdict.json; kill -9 $$)";
  Write("done.json", "{}");
  EXPECT_EQ(Start(verdict, "", "mpirun", LauncherEnd::kAfterEnd).outcome.launcher_code, 0);
  const StartEnding never = Start("kill -9 $$", "", "mpirun", LauncherEnd::kNeverStarted);
  EXPECT_EQ(never.outcome.launcher_code, kPeerCode);
  EXPECT_EQ(never.facts.launcher_signal, 0);
  EXPECT_TRUE(never.facts.waited);
}

TEST_F(StartEndings, ALauncherWhoseRanksNeverSpokeFailedByItself) {
  EXPECT_EQ(CauseOf(Start("exit 1").facts).sentence,
            "mpirun ended with exit code 1 before its ranks had found each other");
  EXPECT_EQ(CauseOf(Start("exit 1", std::string(kJoinedLine) + "\n").facts).sentence, "a rank ended with exit code 1");
}

TEST_F(StartEndings, OnlyAVerdictOfThisStartCounts) {
  Write("attempts.jsonl", "{\"attempt\":1}\n");
  Write("verdict.json", R"({"attempt": 1, "exit_code": 6, "message": "gone"})");
  EXPECT_FALSE(Start("exit 137").outcome.verdict);
  const StartEnding ending = Start(R"(echo '{"attempt": 2, "exit_code": 3, "message": "bad"}' >verdict.json; exit 1)");
  ASSERT_TRUE(ending.outcome.verdict);
  EXPECT_EQ(ending.outcome.verdict->kind, ErrorKind::kData);
  EXPECT_EQ(EffectiveCode(ending.outcome), 3);
  ASSERT_TRUE(ending.facts.ending);
  EXPECT_EQ(ending.facts.ending->message, "bad");
}

TEST_F(StartEndings, AVerdictOfAJobThatTookTheRunOverIsNotThisOnes) {
  Write("attempts.jsonl", "{\"attempt\":1}\n");
  // This start's attempt is 2; it is superseded by 3, which another job stops in time.
  const StartEnding ending = Start(R"(echo '{"attempt":2}' >>attempts.jsonl; echo '{"attempt":3}' >>attempts.jsonl
      echo '{"attempt": 3, "kind": "preempted", "exit_code": 75}' >verdict.json; exit 2)");
  EXPECT_FALSE(ending.facts.ending);
  EXPECT_EQ(RestartPolicy({}).After(ending.outcome).action, Decision::kFinish);
}

TEST_F(StartEndings, ProgressIsWhatFilesTell) {
  CommitCheckpoint(40);
  EXPECT_EQ(Start("exit 137").outcome.progress, 40u);
  Write("metrics.jsonl", "{\"step\": 52}\n");
  EXPECT_EQ(Start("exit 137").outcome.progress, 52u);
}

TEST_F(StartEndings, TheSignalThatEndedTheLauncherIsKnown) {
  const StartEnding ending = Start("kill -9 $$");
  EXPECT_EQ(ending.facts.launcher_signal, 9);
  EXPECT_EQ(ending.outcome.launcher_code, 137);
  EXPECT_TRUE(ending.IsExplained());
}

TEST_F(StartEndings, WhereNobodySaysWhyItIsUnexplained) {
  EXPECT_FALSE(Start("exit 1", "mpirun: something\n").IsExplained());
  EXPECT_TRUE(Start("exit 1", "lockstep: error: bad\n").IsExplained());
}

TEST_F(StartEndings, AFailureLosesWhatCameAfterTheNewestCheckpoint) {
  StartEnding ending = Start("exit 137");
  ending.seconds = 10;
  const StartCause cause = {"killed rank", "h2", ""};
  StartCost cost = CostOf(ending, cause, 2, before_, files_);
  EXPECT_EQ(cost.lost_seconds, 10);
  EXPECT_EQ(cost.nodes, 2);
  EXPECT_EQ(cost.cause, "killed rank");
  EXPECT_EQ(cost.host, "h2");
  // Written between the start's begin and end.
  CommitCheckpoint(40);
  before_.time = files_.FindNewestCheckpoint()->written - 4;
  EXPECT_NEAR(CostOf(ending, cause, 2, before_, files_).lost_seconds, 6, 1e-6);
  // Written by an earlier start.
  before_.time = files_.FindNewestCheckpoint()->written + 1;
  EXPECT_EQ(CostOf(ending, cause, 2, before_, files_).lost_seconds, 10);
}

TEST_F(StartEndings, AnEndThatWasWantedLosesNothing) {
  for (const int code : {kDone, kPreempted}) {
    StartEnding ending = Start("exit 0");
    ending.facts.code = code;
    const StartCost cost = CostOf(ending, {"stop", "h1", ""}, 1, before_, files_);
    EXPECT_EQ(cost.lost_seconds, 0);
    EXPECT_TRUE(cost.cause.empty());
  }
}

}  // namespace
}  // namespace lockstep::launch

// What is made of the end of a start: shells stand for mpirun, and folders for those of runs.
#include "launch/supervise/start_ending.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

class EndedStarts : public testing::Test {
 protected:
  EndedStarts() : folder_(fs::path(testing::TempDir()) / "ended_start") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~EndedStarts() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void CommitCheckpoint(uint64_t step) {
    Write("checkpoints/" + checkpoint::FolderName(step) + "/" + checkpoint::kManifestName, "");
  }

  /// A start whose launcher runs `script` in the folder and says `said`.
  EndedStart Start(const std::string& script, const std::string& said = "") {
    before_ = LookBefore(files_);
    ChildProcess launcher({"sh", "-c", "cd " + folder_.string() + "; " + script}, {});
    while (!launcher.Poll()) std::this_thread::yield();
    LauncherOutput output;
    output.Add(said);
    return Gather(before_, "mpirun", launcher, output, requests_, files_);
  }

  fs::path folder_;
  records::RunFolderReader files_{folder_.string()};
  StopRequests requests_;
  BeforeStart before_;
};

TEST_F(EndedStarts, ADoneRunIsDone) {
  Write("done.json", "{}");
  const EndedStart ended = Start("exit 0");
  EXPECT_EQ(ended.end.launcher_code, 0);
  EXPECT_FALSE(ended.facts.not_done);
}

TEST_F(EndedStarts, ALaunchersZeroAloneIsNoEnd) {
  const EndedStart ended = Start("exit 0");
  EXPECT_TRUE(ended.facts.not_done);
  EXPECT_EQ(ended.end.launcher_code, kPeerCode);
}

TEST_F(EndedStarts, OnlyAVerdictOfThisStartCounts) {
  Write("verdict.json", R"({"attempt": 1, "exit_code": 6, "message": "gone"})");
  EXPECT_EQ(Start("exit 137").end.verdict_code, std::nullopt);
  const EndedStart ended = Start(R"(echo '{"attempt": 2, "exit_code": 3, "message": "bad"}' >verdict.json; exit 1)");
  EXPECT_EQ(ended.end.verdict_code, 3);
  EXPECT_EQ(EffectiveCode(ended.end), 3);
  ASSERT_TRUE(ended.facts.ending);
  EXPECT_EQ(ended.facts.ending->message, "bad");
}

TEST_F(EndedStarts, ProgressIsWhatFilesTell) {
  CommitCheckpoint(40);
  EXPECT_EQ(Start("exit 137").end.progress, 40u);
  Write("metrics.jsonl", "{\"step\": 52}\n");
  EXPECT_EQ(Start("exit 137").end.progress, 52u);
}

TEST_F(EndedStarts, TheSignalThatEndedTheLauncherIsKnown) {
  const EndedStart ended = Start("kill -9 $$");
  EXPECT_EQ(ended.facts.launcher_signal, 9);
  EXPECT_EQ(ended.end.launcher_code, 137);
  EXPECT_TRUE(ended.IsExplained());
}

TEST_F(EndedStarts, WhereNobodySaysWhyItIsUnexplained) {
  EXPECT_FALSE(Start("exit 1", "mpirun: something\n").IsExplained());
  EXPECT_TRUE(Start("exit 1", "lockstep: error: bad\n").IsExplained());
}

TEST_F(EndedStarts, AFailureLosesWhatCameAfterTheNewestCheckpoint) {
  EndedStart ended = Start("exit 137");
  ended.seconds = 10;
  const Cause cause = {"killed rank", "h2", ""};
  StartCost cost = CostOf(ended, cause, 2, before_, files_);
  EXPECT_EQ(cost.lost_seconds, 10);
  EXPECT_EQ(cost.nodes, 2);
  EXPECT_EQ(cost.cause, "killed rank");
  EXPECT_EQ(cost.host, "h2");
  // Written between the start's begin and end.
  CommitCheckpoint(40);
  before_.time = files_.FindNewestCheckpoint()->written - 4;
  EXPECT_NEAR(CostOf(ended, cause, 2, before_, files_).lost_seconds, 6, 1e-6);
  // Written by an earlier start.
  before_.time = files_.FindNewestCheckpoint()->written + 1;
  EXPECT_EQ(CostOf(ended, cause, 2, before_, files_).lost_seconds, 10);
}

TEST_F(EndedStarts, AnEndThatWasWantedLosesNothing) {
  for (const int code : {kDone, kPreempted}) {
    EndedStart ended = Start("exit 0");
    ended.facts.code = code;
    const StartCost cost = CostOf(ended, {"stop", "h1", ""}, 1, before_, files_);
    EXPECT_EQ(cost.lost_seconds, 0);
    EXPECT_TRUE(cost.cause.empty());
  }
}

}  // namespace
}  // namespace lockstep::launch

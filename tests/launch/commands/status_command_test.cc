// What `status` makes of a run's files.
#include "launch/commands/status_command.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/commands/commands.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class StatusTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  nlohmann::json Status() { return RunStatus(folder_.path(), static_cast<double>(std::time(nullptr))); }

  TemporaryFolder folder_;
};

TEST_F(StatusTest, AFolderWithoutARunIsRefused) {
  try {
    Status();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  EXPECT_THROW(RunStatus("/no/such/folder", 0), Error);
}

TEST_F(StatusTest, ReadsAFinishedRun) {
  Write("recipe.textproto", "train { epochs: 4 }");
  Write("attempts.jsonl",
        "{\"attempt\":1,\"host\":\"h1\",\"ranks\":4,\"from_step\":0}\n{\"attempt\":2,\"host\":\"h2\",\"ranks\":3,"
        "\"from_step\":100}\n");
  Write("metrics.jsonl",
        "{\"step\":90,\"epoch\":2,\"loss\":0.5,\"samples_per_s\":900,\"time\":1}\n{\"step\":180,\"epoch\":4,\"loss\":0."
        "25,\"samples_per_s\":1000,\"time\":2}\n"
        "{\"step\":180,\"epoch\":4,\"split\":\"test\",\"loss\":0.3,\"time\":2}\n{\"step\":19");
  Write("checkpoints/step-00000100/manifest.pb", "x");
  Write("checkpoints/step-00000180/manifest.pb", "x");
  Write("checkpoints/step-00000190/rank-0", "x");  // not committed
  Write("verdict.json", "{\"attempt\":2,\"exit_code\":0,\"message\":\"done\"}");
  Write("supervisor.jsonl",
        "{\"event\":\"end\",\"cause\":\"killed rank\",\"host\":\"h1\",\"message\":\"rank 1 on h1 was "
        "killed\",\"restart\":true}\n");
  const nlohmann::json status = Status();
  EXPECT_EQ(status["state"], "done");
  EXPECT_EQ(status["step"], 180);
  EXPECT_EQ(status["total_steps"], 180);
  EXPECT_EQ(status["loss"], 0.25);
  EXPECT_EQ(status["checkpoint"]["step"], 180);
  EXPECT_EQ(status["attempts"], 2);
  EXPECT_EQ(status["last_attempt"]["ranks"], 3);
  EXPECT_EQ(status["restarts"], 1);
  EXPECT_THAT(FormatStatus(status),
              AllOf(HasSubstr("step 180 of 180"), HasSubstr("loss 0.2500"), HasSubstr("rank 1 on h1 was killed"),
                    HasSubstr("; 1 restart by lockstep run\n")));
}

TEST_F(StatusTest, TellsEndsApart) {
  Write("job.sbatch", "");
  EXPECT_EQ(Status()["state"], "waiting");
  Write("recipe.textproto", "");
  Write("attempts.jsonl", "{\"attempt\":1}\n");
  EXPECT_EQ(Status()["state"], "killed");
  Write("verdict.json", "{\"attempt\":1,\"exit_code\":75}");
  EXPECT_EQ(Status()["state"], "stopped");
  Write("verdict.json", "{\"attempt\":1,\"exit_code\":6,\"message\":\"rank 1 is gone\",\"where\":\"rank 0 on h1\"}");
  EXPECT_THAT(FormatStatus(Status()), HasSubstr("failed with exit code 6: rank 0 on h1: rank 1 is gone"));
  Write("attempts.jsonl", "{\"attempt\":1}\n{\"attempt\":2}\n");
  EXPECT_EQ(Status()["state"], "killed") << "the verdict is an older attempt's";
  Write("heartbeat/rank-0.pb", "x");
  EXPECT_EQ(Status()["state"], "running");
}

TEST_F(StatusTest, BeforeTheFirstAttemptThereIsNone) {
  Write("recipe.textproto", "");
  // As a lease begins: the number of the attempt comes with its first renewal.
  Write("lease.json", "{\"version\":1,\"id\":\"a\",\"host\":\"h9\",\"pid\":1,\"attempt\":0,\"step\":0}");
  EXPECT_EQ(Status()["state"], "running");
  EXPECT_THAT(FormatStatus(Status()), AllOf(HasSubstr("attempts    none yet\n"), Not(HasSubstr("attempt 0"))));
}

TEST_F(StatusTest, AFolderWhoseNameIsNoUtf8IsShown) {
  Write("recipe.textproto", "");
  Write("attempts.jsonl", "{\"attempt\":1}\n");
  const std::string latin1 = folder_ / "caf\xe9";
  std::filesystem::create_directory(latin1);
  std::filesystem::copy(folder_ / "recipe.textproto", latin1);
  std::filesystem::copy(folder_ / "attempts.jsonl", latin1);
  for (const bool as_json : {false, true}) {
    CLI::App app;
    int code = -1;
    AddStatusCommand(app, &code);
    std::vector<std::string> args = {latin1, "status"};
    if (as_json) args.insert(args.begin(), "--json");
    testing::internal::CaptureStdout();
    EXPECT_NO_THROW(app.parse(args));
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("killed"));
    EXPECT_EQ(code, 0);
  }
}

TEST_F(StatusTest, OfAFolderWithRunsInItIsATable) {
  Write("runs/one/recipe.textproto", "train { steps: 5 }");
  Write("runs/one/attempts.jsonl", "{\"attempt\":1}\n");
  CLI::App app;
  int code = -1;
  AddStatusCommand(app, &code);
  for (const bool as_json : {false, true}) {
    std::vector<std::string> args = {folder_ / "runs", "status"};
    if (as_json) args.insert(args.begin(), "--json");
    testing::internal::CaptureStdout();
    app.parse(args);
    const std::string said = testing::internal::GetCapturedStdout();
    EXPECT_EQ(code, 0);
    if (as_json)
      EXPECT_EQ(Json::parse(said)[0]["state"], "killed");
    else
      EXPECT_THAT(said, HasSubstr("one  killed  - of 5"));
  }
}

TEST_F(StatusTest, NonsenseInFilesIsNoError) {
  for (const char* name : {"recipe.textproto", "attempts.jsonl", "metrics.jsonl", "verdict.json", "supervisor.jsonl",
                           "lease.json", "job.json"})
    Write(name, "[1, {\"step\": \"x\"\n{\"step\":{},\"event\":3,\"slurm_jobs\":[1],\"exit_code\":\"a\"}\n\xff");
  EXPECT_NO_THROW(FormatStatus(Status()));
}

}  // namespace
}  // namespace lockstep::launch

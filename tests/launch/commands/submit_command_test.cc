// What `lockstep submit` leaves behind; a script stands for sbatch.
#include "launch/commands/commands.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class SubmitCommand : public testing::Test {
 protected:
  SubmitCommand() : path_(std::getenv("PATH")) {
    Write("r.textproto",
          "name: \"r\" model { mlp { hidden: 4 } } train { epochs: 1 } optimizer { sgd {} learning_rate: 1 }");
    setenv("PATH", (folder_.path() + ":" + path_).c_str(), 1);
    setenv("XDG_CONFIG_HOME", (folder_ / "config").c_str(), 1);
    Takes(100);
  }
  ~SubmitCommand() override {
    setenv("PATH", path_.c_str(), 1);
    unsetenv("XDG_CONFIG_HOME");
  }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::string Read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }
  /// Slurm takes so many jobs, numbered from 1.
  void Takes(int jobs) {
    Write("taken", "");
    Write("sbatch",
          "#!/bin/sh\ncd " + folder_.path() + "\n[ $(wc -l <taken) -lt " + std::to_string(jobs) +
              " ] || { echo 'Batch job submission failed: no' >&2; exit 1; }\necho \"$*\" >>taken\nwc -l <taken\n");
    fs::permissions(folder_ / "sbatch", fs::perms::owner_all);
  }
  /// Returns the exit code; what was said is in said_.
  int Submit(std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"submit", folder_ / "r.textproto", "--time", "1h", "--out", folder_ / "run"};
    args.insert(args.end(), more.begin(), more.end());
    std::reverse(args.begin(), args.end());
    CLI::App app;
    int code = -1;
    AddSubmitCommand(app, &code);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    try {
      app.parse(args);
      said_.clear();
    } catch (const Error& error) {
      code = error.exit_code();
      said_ = error.what();
    }
    std::fflush(stdout);
    said_ += testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
    return code;
  }
  bool Exists(const std::string& name) { return fs::exists(folder_ / name); }

  TemporaryFolder folder_;
  const std::string path_;
  std::string said_;
};

TEST_F(SubmitCommand, LeavesTheScriptAndTheJobsNumbers) {
  EXPECT_EQ(Submit({"--chain", "2"}), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("submitted job 1 "), HasSubstr("submitted job 2 ")));
  EXPECT_THAT(Read("taken"), HasSubstr("--dependency=afterany:1 " + folder_ / "run/job.sbatch"));
  EXPECT_THAT(Read("run/job.json"), HasSubstr(R"("slurm_jobs":["1","2"])"));
  EXPECT_THAT(Read("run/job.sbatch"), HasSubstr("#SBATCH"));
}

TEST_F(SubmitCommand, WhereSlurmRefusesNothingIsLeft) {
  Takes(0);
  EXPECT_EQ(Submit(), 2);
  EXPECT_THAT(said_, HasSubstr("sbatch refused it: Batch job submission failed: no"));
  EXPECT_FALSE(Exists("run"));
}

TEST_F(SubmitCommand, WhereSlurmRefusesAnOldRunIsAsItWas) {
  Write("run/job.sbatch", "old script");
  Write("run/recipe.textproto", "old");
  Takes(0);
  for (const std::vector<std::string>& how : {std::vector<std::string>{}, {"--fresh"}}) {
    EXPECT_EQ(Submit(how), 2);
    EXPECT_EQ(Read("run/job.sbatch"), "old script");
    EXPECT_EQ(Read("run/recipe.textproto"), "old");
    EXPECT_FALSE(Exists("run/logs"));
    EXPECT_FALSE(Exists("run.old"));
  }
}

TEST_F(SubmitCommand, OfAChainItSaysHowManyJobsThereAre) {
  Takes(2);
  EXPECT_EQ(Submit({"--chain", "3"}), 2);
  EXPECT_THAT(said_, AllOf(HasSubstr("only 2 of 3 jobs"), HasSubstr("submitted job 2")));
  EXPECT_THAT(Read("run/job.json"), HasSubstr(R"("slurm_jobs":["1","2"])"));
}

}  // namespace
}  // namespace lockstep::launch

// Scripts of Slurm jobs, and a site's defaults.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/duration.h"
#include "base/error.h"
#include "launch/slurm/job_work.h"
#include "launch/slurm/sbatch_script.h"
#include "launch/slurm/site_config.h"
#include "launch/supervise/launcher/child_process.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/slurm/example_jobs.h"

namespace lockstep::launch {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(SbatchScript, CarriesTheJobsAndTheSitesOptions) {
  JobScript job = Job();
  job.partition = "gpu";
  job.sbatch = {"--exclusive"};
  const std::string text = FormatScript(job);
  for (const char* line :
       {"#SBATCH --job-name=mnist\n", "#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=4\n",
        "#SBATCH --cpus-per-task=8\n", "#SBATCH --gpus-per-node=4\n", "#SBATCH --time=00:30:00\n",
        "#SBATCH --partition=gpu\n", "#SBATCH --account=physics\n",
        "#SBATCH --output=/shared/runs/mnist/logs/slurm-%j.out\n", "#SBATCH --open-mode=append\n",
        "#SBATCH --requeue\n", "#SBATCH --signal=B:USR1@120\n", "#SBATCH --mail-type=FAIL\n", "#SBATCH --exclusive\n",
        "\nmodule load openmpi\nulimit -c 0\n", "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK\n",
        "cd '/home/me/my work'", "--launcher srun", "scontrol requeue"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("--qos")));
}

/// What follows `option` in the line that starts the ranks.
std::string ValueIn(const std::string& script, const std::string& option) {
  const size_t at = script.find(option + " ") + option.size() + 1;
  return script.substr(at, script.find_first_of(" \n", at) - at);
}

TEST(SbatchScript, GivesTheSitesGraceInTheFormOfDurations) {
  EXPECT_EQ(ParseDuration(ValueIn(FormatScript(Job()), "--grace"), "--grace"), 120);
}

TEST(SbatchScript, SaysWhatStartsAgain) {
  JobScript job = Job();
  EXPECT_THAT(FormatScript(job), HasSubstr("Slurm starts the job again by itself.\n#SBATCH --requeue\n"));
  job.chain = true;
  EXPECT_THAT(FormatScript(job), AllOf(HasSubstr("the next one of the chain goes on.\n#SBATCH --no-requeue\n"),
                                       Not(HasSubstr("again by itself"))));
}

TEST(SbatchScript, IsOneThatBashReads) {
  for (int i = 0; i < 6; ++i) {
    const bool chain = i % 2 == 1;
    JobScript job = Job();
    job.work = std::array{JobWork::kRun, JobWork::kStudy, JobWork::kSweep}[static_cast<size_t>(i / 2)];
    job.chain = chain;
    job.folder = "/shared/runs/it's %a";
    job.array = chain;
    job.site.set_launcher(JobLauncher::MPIRUN);
    const TemporaryFolder folder;
    std::ofstream(folder / "job.sbatch") << FormatScript(job);
    const Captured said = RunForOutput({"bash", "-n", folder / "job.sbatch"}, seconds(10));
    EXPECT_EQ(said.code, 0) << said.errors;
  }
}

TEST(SbatchScript, WordsSurviveTheShell) {
  const Captured said =
      RunForOutput({"sh", "-c",
                    "SLURM_ARRAY_TASK_ID=7; printf '<%s>' " + ScriptWord("seed=%a it's", true) + " " +
                        ScriptWord("%a", true) + " " + ScriptWord("%a", false) + " " + ScriptWord("", true)},
                   seconds(10));
  EXPECT_EQ(said.output, "<seed=7 it's><7><%a><>");
}

/// The words of the script's lines for sbatch, read by its rules (src/sbatch/opt.c): blanks part words outside of
/// quotes, a backslash keeps what follows, wherever it stands, and "hetjob" is blanked out.
std::vector<std::string> SbatchWords(const std::string& script) {
  std::vector<std::string> words;
  std::istringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#SBATCH")) continue;
    line = line.substr(7);
    if (const size_t at = line.find("hetjob"); at != std::string::npos) line.replace(at, 6, "      ");
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      char c = line[i];
      if (quote == 0 && c == ' ') {
        in_word = false;
        continue;
      }
      if (!in_word && c == '#') break;
      if (!in_word) words.emplace_back();
      in_word = true;
      if (c == '\\') {
        words.back() += line[++i];
      } else if (quote != 0 ? c == quote : c == '"' || c == '\'') {
        quote = quote != 0 ? 0 : c;
      } else {
        words.back() += c;
      }
    }
    EXPECT_EQ(quote, 0) << line;
  }
  return words;
}

TEST(SbatchScript, WordsSurviveSbatch) {
  JobScript job = Job();
  job.name = "a #1 \"run\"";
  job.folder = "/runs/it's 100% #1 \"of\" $HOME caf\xe9/hetjob";
  job.sbatch = {"--comment=two words # no comment", "-C", "big nodes", "--wckey=a\\b"};
  EXPECT_THAT(SbatchWords(FormatScript(job)),
              testing::IsSupersetOf({"--job-name=a #1 \"run\"",
                                     "--output=/runs/it's 100%% #1 \"of\" $HOME caf\xe9/hetjob/logs/slurm-%j.out",
                                     "--comment=two words # no comment", "-C", "big nodes", "--wckey=a\\b"}));
}

TEST(SbatchScript, OnlyAnArraysFolderHasANumber) {
  JobScript job = Job();
  job.folder = "/runs/100%accuracy";
  job.words = {"/r.textproto", "--out", job.folder};
  EXPECT_THAT(FormatScript(job), AllOf(HasSubstr("--output=/runs/100%%accuracy/logs/slurm-%j.out\n"),
                                       HasSubstr("run=/runs/100%accuracy\n"), Not(HasSubstr("SLURM_ARRAY_TASK_ID"))));
  job.array = true;
  EXPECT_THAT(FormatScript(job), AllOf(HasSubstr("logs/slurm-%A_%a.out\n"), HasSubstr("\"$SLURM_ARRAY_TASK_ID\"")));
  EXPECT_TRUE(MakesArray({"--exclusive", "--array=1-4"}));
  EXPECT_TRUE(MakesArray({"-a1-4"}));
  EXPECT_FALSE(MakesArray({"--account=a"}));
}

TEST(SbatchScript, VariedJobsHaveTheirOwnSettings) {
  JobScript job = Job();
  job.array = true;
  job.varied = {{"a.b=1", "c=\"x y\""}, {"a.b=$(rm)"}};
  const std::string script = FormatScript(job);
  EXPECT_THAT(script, HasSubstr("case $SLURM_ARRAY_TASK_ID in\n0) varied=(--set a.b=1 --set 'c=\"x y\"') ;;\n"
                                "1) varied=(--set 'a.b=$(rm)') ;;\n*) "));
  EXPECT_THAT(script, HasSubstr("\"${varied[@]}\" --grace"));
}

TEST(SbatchScript, AnOptionCannotAddLines) {
  JobScript job = Job();
  job.sbatch = {"--comment=a\nrm -rf /"};
  EXPECT_THROW(FormatScript(job), Error);
}

/// Runs the script with a lockstep, squeue and scontrol that do what a test says.
class SbatchScriptRuns : public testing::Test {
 protected:
  SbatchScriptRuns() {
    job_ = Job();
    job_.folder = folder_ / "run";
    job_.directory = folder_.path();
    job_.site.clear_setup();
    job_.program = Program("lockstep", "echo \"ran $*\"; . ./ends");
    Program("squeue", "cat ./queue");
    Program("scontrol", "echo \"$*\" >>requeued; kill -9 $PPID");  // Slurm ends the script
    std::ofstream(folder_ / "queue") << "RUNNING\n";
    std::filesystem::create_directories(folder_ / "run/checkpoints");
  }

  std::string Program(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << "#!/bin/sh\n" << text << "\n";
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
    return folder_ / name;
  }
  void Ends(const std::string& how) { std::ofstream(folder_ / "ends") << how << "\n"; }
  void Commit(int step) {
    const std::string folder = folder_ / ("run/checkpoints/step-0000" + std::to_string(step));
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/manifest.pb") << "x";
  }
  Captured Run() {
    std::ofstream(folder_ / "job.sbatch") << FormatScript(job_);
    return RunForOutput({"env", "PATH=" + folder_.path() + ":/usr/bin:/bin", "SLURM_JOB_ID=12", "SLURM_JOB_NUM_NODES=2",
                         "bash", folder_ / "job.sbatch"},
                        seconds(20));
  }
  bool Requeued() {
    const bool found = std::filesystem::exists(folder_ / "requeued");
    std::filesystem::remove(folder_ / "requeued");
    return found;
  }

  TemporaryFolder folder_;
  JobScript job_;
};

TEST_F(SbatchScriptRuns, AFolderWithAnyBytesGetsTheOutput) {
  for (const std::string& name :
       {std::string("back\\slash"), std::string("line\nbreak"), std::string("it's \"$HOME\" %j")}) {
    job_.folder = folder_ / name;
    job_.words = {"r.textproto", "--out", job_.folder};
    Ends("exit 0");
    const Captured said = Run();
    EXPECT_EQ(said.code, 0) << said.errors;
    const std::string log = job_.folder + "/logs/slurm-12.out";
    std::ostringstream text;
    if (std::filesystem::exists(log)) text << std::ifstream(log).rdbuf();
    EXPECT_THAT(said.output + text.str(), HasSubstr("--out " + job_.folder));
    EXPECT_THAT(said.output + text.str(), HasSubstr("ended with 0"));
  }
}

TEST_F(SbatchScriptRuns, ASetUpThatFailsEndsTheJob) {
  Ends("exit 0");
  for (const char* line : {"false", "no-such-module load x", "if true; then", "cat <nothing"}) {
    job_.site.clear_setup();
    job_.site.add_setup("export SEEN=1");
    job_.site.add_setup(line);
    if (std::string(line).ends_with("then")) {
      job_.site.add_setup("  false");
      job_.site.add_setup("fi");
    }
    const Captured said = Run();
    EXPECT_EQ(said.code, 2) << line;
    EXPECT_THAT(said.errors, HasSubstr("the site's setup: ")) << line;
    EXPECT_THAT(said.output, Not(HasSubstr("ran "))) << line;
    EXPECT_FALSE(Requeued());
  }
}

TEST_F(SbatchScriptRuns, WhatFailsInsideOfASetUpsFunctionsAndFilesIsTheirs) {
  std::ofstream(folder_ / "conda.sh") << "false\nmodule() { false; export LOADED=$2; }\ntrue\n";
  for (const char* line : {"source ./conda.sh", "module load mpi", "[ -e /nowhere ] && false", "false || true"})
    job_.site.add_setup(line);
  Program("lockstep", "echo \"loaded $LOADED\"; exit 0");
  const Captured said = Run();
  EXPECT_EQ(said.code, 0) << said.errors;
  EXPECT_THAT(said.output, HasSubstr("loaded mpi"));
}

TEST_F(SbatchScriptRuns, ALoginShellHasModulesAndTheSubmittersPrograms) {
  std::ofstream(folder_ / ".bash_profile") << "PATH=/usr/bin:/bin\nmodule() { export LOADED=$2; }\n";
  job_.site.add_setup("module load mpi");
  Program("own-program", "true");
  Program("lockstep", "own-program && echo \"loaded $LOADED\"; exit 0");
  std::ofstream(folder_ / "job.sbatch") << FormatScript(job_);
  std::filesystem::permissions(folder_ / "job.sbatch", std::filesystem::perms::owner_all);
  const Captured said = RunForOutput({"env", "HOME=" + folder_.path(), "PATH=" + folder_.path() + ":/usr/bin:/bin",
                                      "SLURM_JOB_ID=12", "SLURM_JOB_NUM_NODES=1", folder_ / "job.sbatch"},
                                     seconds(20));
  EXPECT_EQ(said.code, 0) << said.errors;
  EXPECT_THAT(said.output, HasSubstr("loaded mpi"));
}

TEST_F(SbatchScriptRuns, DoneIsDone) {
  Ends("exit 0");
  const Captured said = Run();
  EXPECT_EQ(said.code, 0);
  EXPECT_THAT(said.output, HasSubstr("ran run -n 8 --launcher srun /home/me/mnist.textproto --out"));
  EXPECT_FALSE(Requeued());
}

TEST_F(SbatchScriptRuns, AStopInTimeIsRequeued) {
  Ends("exit 75");
  Run();
  EXPECT_TRUE(Requeued());
}

TEST_F(SbatchScriptRuns, ACancelledJobIsNot) {
  Ends("exit 75");
  std::ofstream(folder_ / "queue") << "COMPLETING\n";
  EXPECT_EQ(Run().code, 75);
  EXPECT_FALSE(Requeued());
}

TEST_F(SbatchScriptRuns, WhatWouldHappenAgainFails) {
  for (const int code : {2, 3, 4, 5}) {
    Ends("exit " + std::to_string(code));
    EXPECT_EQ(Run().code, code);
    EXPECT_FALSE(Requeued());
  }
}

TEST_F(SbatchScriptRuns, AFailureIsRequeuedUntilThreeJobsInARowGainNoStep) {
  Ends("exit 6");
  Run();
  EXPECT_TRUE(Requeued());
  Run();
  EXPECT_TRUE(Requeued());
  Ends("mkdir -p run/checkpoints/step-00000100; touch run/checkpoints/step-00000100/manifest.pb; exit 6");
  Run();
  EXPECT_TRUE(Requeued());
  Ends("exit 6");
  Run();
  EXPECT_TRUE(Requeued());
  Run();
  EXPECT_TRUE(Requeued());
  EXPECT_EQ(Run().code, 6);
  EXPECT_FALSE(Requeued());
}

TEST_F(SbatchScriptRuns, ASignalReachesTheRanksAndTheScriptWaitsForThem) {
  // The program sends the script Slurm's signal, and ends only after it was passed on.
  Ends("trap 'exit 75' USR1; kill -USR1 $PPID; while :; do sleep 0.01; done");
  Run();
  EXPECT_TRUE(Requeued());
}

TEST_F(SbatchScriptRuns, ASignalBeforeThereAreRanksStartsNone) {
  job_.site.add_setup("kill -USR1 $$");
  Ends("exit 0");
  const Captured said = Run();
  EXPECT_THAT(said.output, Not(HasSubstr("ran")));
  EXPECT_TRUE(Requeued());
}

TEST_F(SbatchScriptRuns, AChainEndsWithTheFirstJobThatHasNothingLeft) {
  job_.chain = true;
  Ends("exit 75");
  EXPECT_EQ(Run().code, 75);
  Ends("exit 0");
  EXPECT_EQ(Run().code, 0);
  const Captured rest = Run();
  EXPECT_EQ(rest.code, 0);
  EXPECT_THAT(rest.output, Not(HasSubstr("ran")));
  EXPECT_FALSE(Requeued());
}

TEST(Site, HasDefaultsAndNamesWhatIsWrong) {
  EXPECT_EQ(ParseSite("", "site").grace_seconds(), 120u);
  EXPECT_EQ(ParseSite("", "site").launcher(), JobLauncher::SRUN);
  try {
    ParseSite("account: \"a\"\nacount: \"b\"", "site.textproto");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.where(), HasSubstr("site.textproto:2"));
  }
}

}  // namespace
}  // namespace lockstep::launch

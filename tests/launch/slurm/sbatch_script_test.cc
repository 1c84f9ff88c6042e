// Scripts of Slurm jobs, a site's defaults, and what `status` makes of a run's files.
#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/duration.h"
#include "base/error.h"
#include "launch/commands/commands.h"
#include "launch/commands/status_command.h"
#include "launch/slurm/sbatch_script.h"
#include "launch/slurm/site_config.h"
#include "launch/supervise/launcher/child_process.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

JobScript Job() {
  JobScript job;
  job.site = ParseSite(
      "account: \"physics\" setup: \"module load openmpi\" setup: \"ulimit -c 0\" sbatch: \"--mail-type=FAIL\"",
      "site");
  job.name = "mnist";
  job.program = "/opt/lockstep";
  job.folder = "/shared/runs/mnist";
  job.directory = "/home/me/my work";
  job.train = {"/home/me/mnist.textproto", "--out", "/shared/runs/mnist", "--set", "name=\"it's\""};
  job.nodes = 2;
  job.ranks_per_node = 4;
  job.cpus_per_rank = 8;
  job.gpus_per_node = 4;
  job.seconds = 1800;
  return job;
}

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
  for (const bool chain : {false, true}) {
    JobScript job = Job();
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
  job.train = {"/r.textproto", "--out", job.folder};
  EXPECT_THAT(FormatScript(job), AllOf(HasSubstr("--output=/runs/100%%accuracy/logs/slurm-%j.out\n"),
                                       HasSubstr("run=/runs/100%accuracy\n"), Not(HasSubstr("SLURM_ARRAY_TASK_ID"))));
  job.array = true;
  EXPECT_THAT(FormatScript(job), AllOf(HasSubstr("logs/slurm-%A_%a.out\n"), HasSubstr("\"$SLURM_ARRAY_TASK_ID\"")));
  EXPECT_TRUE(MakesArray({"--exclusive", "--array=1-4"}));
  EXPECT_TRUE(MakesArray({"-a1-4"}));
  EXPECT_FALSE(MakesArray({"--account=a"}));
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
    job_.train = {"r.textproto", "--out", job_.folder};
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

// --- status

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

TEST_F(StatusTest, NonsenseInFilesIsNoError) {
  for (const char* name : {"recipe.textproto", "attempts.jsonl", "metrics.jsonl", "verdict.json", "supervisor.jsonl",
                           "lease.json", "job.json"})
    Write(name, "[1, {\"step\": \"x\"\n{\"step\":{},\"event\":3,\"slurm_jobs\":[1],\"exit_code\":\"a\"}\n\xff");
  EXPECT_NO_THROW(FormatStatus(Status()));
}

}  // namespace
}  // namespace lockstep::launch

// Jobs that do studies and sweeps: what their scripts say, what counts as a gain, and what is submitted.
#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "launch/slurm/job_work.h"
#include "launch/slurm/sbatch_script.h"
#include "launch/slurm/slurm_options.h"
#include "launch/slurm/submit_job.h"
#include "launch/supervise/launcher/child_process.h"
#include "tests/base/temporary_folder.h"
#include "tests/launch/slurm/example_jobs.h"

namespace lockstep::launch {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

TEST(SbatchScript, AStudyIsStartedByTheSameCommandAndItsLauncher) {
  JobScript job = Study();
  const std::string command = "scale r.textproto --ranks 1,2 --against 'echo {ranks}' --launcher srun";
  EXPECT_THAT(FormatScript(job), HasSubstr("\n[ -z \"$asked\" ] || again\n/opt/lockstep " + command + " &\n"));
  EXPECT_THAT(FormatScript(job), HasSubstr("# Written by lockstep scale --slurm."));
  EXPECT_THAT(FormatScript(job), Not(HasSubstr("-n \"$ranks\"")));
  EXPECT_EQ(TypedInJob(job), "lockstep " + command);
  job.site.set_launcher(JobLauncher::MPIRUN);
  EXPECT_THAT(FormatScript(job), HasSubstr(" --launcher mpirun &\n"));
}

/// What `progress` of the work prints for a folder.
std::string ProgressIn(JobWork work, const std::string& folder) {
  const Captured said = RunForOutput(
      {"bash", "-c", "run=" + ShellWord(folder) + "\n" + ProgressFunction(work) + "progress"}, seconds(10));
  EXPECT_EQ(said.errors, "");
  return said.output;
}

TEST(SbatchScript, AStudyAndASweepGainByWhatHasEnded) {
  const TemporaryFolder folder;
  const std::string root = std::filesystem::path(folder / "x").parent_path();
  const auto append = [&](const char* name, const char* text) { std::ofstream(folder / name, std::ios::app) << text; };
  const std::string none = ProgressIn(JobWork::kStudy, root);
  append("study.json", "{}\n");
  const std::string begun = ProgressIn(JobWork::kStudy, root);
  append("runs.jsonl", "{\"point\":\"r1\"}\n");
  const std::string one = ProgressIn(JobWork::kStudy, root);
  EXPECT_NE(none, begun);
  EXPECT_NE(begun, one);
  EXPECT_EQ(ProgressIn(JobWork::kStudy, root), one);
  // A trial that is over is gain, and so is a checkpoint of one on its way.
  append("trials.jsonl", "{\"state\":\"waiting\",\"trial\":0}\n");
  const std::string waiting = ProgressIn(JobWork::kSweep, root);
  append("trials.jsonl", "{\"state\":\"done\",\"trial\":1}\n");
  const std::string over = ProgressIn(JobWork::kSweep, root);
  EXPECT_NE(waiting, over);
  std::filesystem::create_directories(folder / "trials/0000/checkpoints/step-00000100");
  append("trials/0000/checkpoints/step-00000100/manifest.pb", "m");
  EXPECT_NE(ProgressIn(JobWork::kSweep, root), over);
}

/// The script's words for what becomes of the job when what it runs ends with `code`.
std::string CaseOf(const std::string& script, const std::string& code) {
  const size_t begin = script.find("case $code in\n"), end = script.find("\nesac", begin);
  const std::string text = "finish() { echo finish; }\nagain() { echo again; }\ncode=" + code + "\n" +
                           script.substr(begin, end - begin) + "\n*) echo decide ;;\nesac\n";
  return RunForOutput({"bash", "-c", text}, seconds(10)).output;
}

TEST(SbatchScript, AStoppedStudyHasToGainBeforeItGoesOn) {
  EXPECT_EQ(CaseOf(FormatScript(Job()), "75"), "again\n");
  EXPECT_EQ(CaseOf(FormatScript(Study()), "75"), "decide\n");
  for (const JobScript& job : {Job(), Study()}) {
    EXPECT_EQ(CaseOf(FormatScript(job), "0"), "finish\n");
    EXPECT_EQ(CaseOf(FormatScript(job), "2"), "finish\n");
    EXPECT_EQ(CaseOf(FormatScript(job), "6"), "decide\n");
  }
}

TEST(SubmitStudy, RanksAreDealtToNodes) {
  const auto ranks_per_node = [](int nodes, int ranks, int said) {
    JobScript job = Study();
    job.nodes = nodes;
    job.ranks_per_node = std::max(1, said);
    DealStudy("name", "/folder", ranks, said > 0, job);
    EXPECT_EQ(job.name, "name");
    EXPECT_EQ(job.folder, "/folder");
    return job.ranks_per_node;
  };
  EXPECT_EQ(ranks_per_node(1, 4, 0), 4);
  EXPECT_EQ(ranks_per_node(2, 5, 0), 3);
  EXPECT_EQ(ranks_per_node(2, 8, 6), 6);
  try {
    ranks_per_node(2, 8, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("2 nodes of 3 ranks are too few for 8 ranks"));
  }
  JobScript array = Study();
  array.sbatch = {"--array=1-2"};
  EXPECT_THROW(DealStudy("n", "/f", 1, false, array), Error);
}

TEST(SubmitStudy, TheJobDoesWhatWasTypedWithoutSlurmsOptions) {
  CLI::App app;
  CLI::App* command = app.add_subcommand("scale");
  std::string recipe, ranks, launcher;
  std::vector<std::string> settings;
  bool keep = false, other = false, slurm = false;
  int repeats = 5;
  SlurmOptions options;
  command->add_option("RECIPE", recipe);
  command->add_option("-r,--ranks", ranks);
  command->add_option("--set", settings)->allow_extra_args(false);
  command->add_option("--launcher", launcher);
  command->add_option("--repeats", repeats);
  command->add_flag("--keep", keep);
  command->add_flag("--other", other);
  AddSlurmFlag(*command, options, slurm);
  std::vector<std::string> words{"scale",   "r.textproto", "-r", "1,2",    "--set=a=1",  "--set",  "b=-2",
                                 "--slurm", "--time",      "1h", "--keep", "--launcher", "mpirun", "--repeats=-1",
                                 "--nodes", "2",           "--", "-C",     "haswell"};
  std::reverse(words.begin(), words.end());
  app.parse(words);
  EXPECT_EQ(ShellWords(WordsForJob(*command, {"--launcher"})),
            "scale r.textproto --ranks 1,2 --set a=1 --set b=-2 --repeats=-1 --keep");
  EXPECT_EQ(ShellWords(options.sbatch), "-C haswell");
  EXPECT_EQ(options.nodes, 2);
  EXPECT_TRUE(slurm);
  CLI::App without;
  AddSlurmFlag(*without.add_subcommand("scale"), options, slurm);
  EXPECT_THROW(without.parse("scale --slurm"), CLI::RequiresError);
  EXPECT_THROW(without.parse("scale --time 1h"), CLI::RequiresError);
}

}  // namespace
}  // namespace lockstep::launch

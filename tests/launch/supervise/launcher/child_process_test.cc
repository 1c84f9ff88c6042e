// Programs that commands start, and what killed jobs leave.
#include "launch/supervise/launcher/child_process.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/duration.h"
#include "base/error.h"
#include "launch/supervise/launcher/job_traces.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

int WaitFor(ChildProcess& child) {
  while (!child.Poll()) usleep(1000);
  return *child.Poll();
}

TEST(ChildProcess, ExitCodesAreAShells) {
  ChildProcess five({"sh", "-c", "exit 5"}, {});
  EXPECT_EQ(WaitFor(five), 5);
  EXPECT_EQ(five.ending_signal(), 0);
  ChildProcess killed({"sh", "-c", "kill -9 $$"}, {});
  EXPECT_EQ(WaitFor(killed), 137);
  EXPECT_EQ(killed.ending_signal(), SIGKILL);
}

TEST(ChildProcess, AMissingProgramIsNamed) {
  try {
    ChildProcess child({"/no/such/program"}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.where(), "/no/such/program");
  }
}

int OpenFiles() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(ChildProcess, WhereItCanNotBeStartedNothingStaysOpen) {
  ChildOptions options;
  options.pipe_stdout = options.pipe_stderr = true;
  const int before = OpenFiles();
  EXPECT_THROW(ChildProcess({"/no/such/program"}, options), Error);
  EXPECT_EQ(OpenFiles(), before);
  // Room for the first pipe, and not for the second.
  rlimit all{};
  getrlimit(RLIMIT_NOFILE, &all);
  const int next = dup(STDIN_FILENO);
  close(next);
  rlimit few = all;
  few.rlim_cur = static_cast<rlim_t>(next) + 3;
  setrlimit(RLIMIT_NOFILE, &few);
  EXPECT_THROW(ChildProcess({"true"}, options), Error);
  setrlimit(RLIMIT_NOFILE, &all);
  EXPECT_EQ(OpenFiles(), before);
}

TEST(ChildProcess, EnvironmentAndOutputsAreItsOwn) {
  setenv("LOCKSTEP_TEST_VARIABLE", "old", 1);
  ChildOptions options;
  options.environment["LOCKSTEP_TEST_VARIABLE"] = "new";
  ChildProcess child({"sh", "-c", "test \"$LOCKSTEP_TEST_VARIABLE\" = new"}, options);
  EXPECT_EQ(WaitFor(child), 0);
  const Captured said =
      RunForOutput({"sh", "-c", "echo out; echo err >&2; cat"}, seconds(10));  // standard input is empty
  EXPECT_EQ(said.output, "out\n");
  EXPECT_EQ(said.errors, "err\n");
}

TEST(ChildProcess, ItDoesNotOutliveItsObject) {
  pid_t pid = 0;
  {
    ChildProcess child({"sleep", "1000"}, {});
    pid = child.pid();
  }
  EXPECT_NE(kill(pid, 0), 0);
}

TEST(RunAll, RunsSideBySideAndEndsWhatHangs) {
  const std::vector<Captured> results =
      RunAll({{"sleep", "1000"}, {"echo", "a"}, {"/no/such"}}, std::chrono::milliseconds(300));
  EXPECT_EQ(results[0].code, 124);
  EXPECT_EQ(results[1].code, 0);
  EXPECT_EQ(results[1].output, "a\n");
  EXPECT_EQ(results[2].code, 127);
}

TEST(ShellWords, AShellReadsThemBack) {
  const std::vector<std::string> words = {"plain/word=1", "two words", "it's", "$HOME", ""};
  const Captured said = RunForOutput({"sh", "-c", "printf '<%s>' " + ShellWords(words)}, seconds(10));
  EXPECT_EQ(said.output, "<plain/word=1><two words><it's><$HOME><>");
}

// --- what a job leaves

TEST(JobTraces, FindsAndKillsTheJobsProcessesAlone) {
  ChildOptions ours, others;
  ours.environment[kJobVariable] = "ours-1";
  others.environment[kJobVariable] = "ours-11";
  ChildProcess mine({"sleep", "1000"}, ours), other({"sleep", "1000"}, others);
  const JobTraces traces("ours-1");
  EXPECT_THAT(traces.Processes(), ElementsAre(mine.pid()));
  EXPECT_TRUE(traces.KillProcesses(seconds(5)));
  EXPECT_EQ(WaitFor(mine), 137);
  EXPECT_FALSE(other.Poll());
}

TEST(JobTraces, TheSameOnAnotherHost) {
  ChildOptions ours;
  ours.environment[kJobVariable] = "theirs-1";
  ChildProcess mine({"sleep", "1000"}, ours), other({"sleep", "1000"}, {});
  EXPECT_EQ(RunForOutput({"sh", "-c", RemoteCleanUp("theirs-1")}, seconds(10)).code, 0);
  EXPECT_EQ(WaitFor(mine), 137);
  EXPECT_FALSE(other.Poll());
}

/// A file that a rank of Open MPI 4 leaves, in a root folder of its own.
void Touch(const std::string& path) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << "x";
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(JobTraces, RemovesWhatTheJobLeftAndNothingElse) {
  const TemporaryFolder root;
  JobTraces traces("job-1", root.path());
  // mpirun is process 100, with a rank of this job; 1470103553 is 57a00001.
  Touch(root.path() + "/proc/100/task/100/children");
  std::ofstream(root.path() + "/proc/100/task/100/children") << "101 ";
  Touch(root.path() + "/proc/101/environ");
  std::ofstream(root.path() + "/proc/101/environ") << "LOCKSTEP_JOB=job-1" << '\0' << "PMIX_NAMESPACE=1470103553"
                                                   << '\0' << "PMIX_SERVER_TMPDIR=/tmp/ompi.vm.0/pid.100" << '\0';
  Touch(root.path() + "/dev/shm/vader_segment.vm.0.57a00001.0");
  Touch(root.path() + "/dev/shm/vader_segment.vm.0.57a00002.0");
  Touch(root.path() + "/dev/shm/lockstep-" + std::to_string(getuid()) + "-999999999-00ff");  // no such process
  Touch(root.path() + "/dev/shm/lockstep-" + std::to_string(getuid()) + "-" + std::to_string(getpid()) + "-00ff");
  Touch(root.path() + "/tmp/ompi.vm.0/pid.100/contact.txt");
  Touch(root.path() + "/tmp/ompi.vm.0/pid.102/contact.txt");
  EXPECT_TRUE(traces.Observe(100));
  EXPECT_EQ(traces.RemoveLeftovers().size(), 3u);
  EXPECT_THAT(Names(root.path() + "/dev/shm"),
              UnorderedElementsAre("vader_segment.vm.0.57a00002.0",
                                   "lockstep-" + std::to_string(getuid()) + "-" + std::to_string(getpid()) + "-00ff"));
  EXPECT_THAT(Names(root.path() + "/tmp/ompi.vm.0"), ElementsAre("pid.102"));
}

// --- spans of time

TEST(Duration, PeoplesAndSlurmsForms) {
  EXPECT_EQ(ParseDuration("00:30:00", ""), 1800);
  EXPECT_EQ(ParseDuration("30:00", ""), 1800);
  EXPECT_EQ(ParseDuration("1-00:00:00", ""), 86400);
  EXPECT_EQ(ParseDuration("2-12", ""), 2 * 86400 + 12 * 3600);
  EXPECT_EQ(ParseDuration("30m", ""), 1800);
  EXPECT_EQ(ParseDuration("1h30m", ""), 5400);
  EXPECT_EQ(ParseDuration("90s", ""), 90);
  EXPECT_EQ(ParseDuration("100:00:00", ""), 360000);
}

TEST(Duration, EverythingElseIsRefused) {
  for (const char* text :
       {"", "30", "0m", "m", "1:2:3:4", "-5m", "1h 30m", "5x", "00:00:00", "99999999999999999999s"}) {
    try {
      ParseDuration(text, "--time");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), "--time");
      EXPECT_THAT(error.hint(), HasSubstr("30m"));
    }
  }
}

TEST(Duration, SlurmReadsItBack) {
  for (const int64_t seconds : {1, 59, 60, 3599, 3600, 86399, 86400, 90061, 864000})
    EXPECT_EQ(ParseDuration(SlurmTime(seconds), ""), seconds);
  EXPECT_EQ(SlurmTime(1800), "00:30:00");
  EXPECT_EQ(SlurmTime(86400), "1-00:00:00");
}

}  // namespace
}  // namespace lockstep::launch

// What becomes of a job when its supervisor is killed: a child of the test stands for the supervisor, shells for
// mpirun.
#include "launch/supervise/launcher/guardian.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/job_traces.h"

namespace lockstep::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

ChildOptions Of(const std::string& job, int death_signal = 0) {
  ChildOptions options;
  options.environment[kJobVariable] = job;
  options.own_group = true;
  options.death_signal = death_signal;
  return options;
}

/// A supervisor with a launcher that runs `script`; waits until the launcher has written a line.
class Supervised {
 public:
  Supervised(const std::string& job, const std::string& script, milliseconds limit) {
    int said[2];
    EXPECT_EQ(pipe(said), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const Guardian guardian(job, limit);
      dup2(said[1], STDERR_FILENO);
      ChildProcess launcher({"bash", "-c", script}, Of(job, SIGTERM));
      for (;;) pause();
    }
    close(said[1]);
    char byte = 0;
    EXPECT_EQ(read(said[0], &byte, 1), 1);
    close(said[0]);
  }
  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

bool EndWithin(const std::string& job, milliseconds limit) {
  const JobTraces traces(job);
  for (const auto end = steady_clock::now() + limit; !traces.Processes().empty(); usleep(1000))
    if (steady_clock::now() > end) return false;
  return true;
}

TEST(Guardian, ALauncherThatIsDeafIsKilled) {
  const std::string job = "guarded-" + std::to_string(getpid());
  ChildProcess other({"sleep", "1000"}, Of(job + "1"));
  // As mpirun that waits for a lock: it has taken the signal, and never ends.
  Supervised supervised(job, "trap '' TERM; sleep 1000 & echo x >&2; wait; sleep 1000", milliseconds(100));
  supervised.Kill();
  EXPECT_TRUE(EndWithin(job, milliseconds(10000)));
  EXPECT_FALSE(other.Poll());
}

TEST(Guardian, OneThatEndsByItselfIsNotHurried) {
  const std::string job = "ending-" + std::to_string(getpid());
  Supervised supervised(job, "trap 'sleep 1; exit' TERM; echo x >&2; while :; do sleep 0.01; done",
                        milliseconds(60000));
  supervised.Kill();
  EXPECT_FALSE(EndWithin(job, milliseconds(500)));
  EXPECT_TRUE(EndWithin(job, milliseconds(20000)));
}

TEST(Guardian, WhileTheSupervisorLivesItDoesNothing) {
  const std::string job = "living-" + std::to_string(getpid());
  ChildProcess launcher({"sleep", "1000"}, Of(job));
  pid_t guardian = 0;
  {
    const Guardian made(job, milliseconds(0));
    guardian = made.pid();
    EXPECT_EQ(kill(guardian, 0), 0);
    kill(guardian, SIGTERM);  // a person's pkill: it stays
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(waitpid(guardian, nullptr, WNOHANG), 0);
      usleep(1000);
    }
  }
  EXPECT_NE(kill(guardian, 0), 0);
  EXPECT_FALSE(launcher.Poll());
}

}  // namespace
}  // namespace lockstep::launch

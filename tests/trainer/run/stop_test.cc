#include "base/stop_signals.h"
#include "trainer/run/stop_clock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace lockstep::run {
namespace {

using std::chrono::seconds;
using Clock = StopClock::Clock;

TEST(StopClock, WithoutAnEndIsNeverDue) {
  StopClock clock(std::nullopt);
  clock.NoteSave(1e9);
  EXPECT_FALSE(clock.Due(Clock::now()));
}

TEST(StopClock, LeavesTimeForTwoSavesAndTwoSteps) {
  const Clock::time_point end = Clock::now();
  StopClock clock(end);
  clock.NoteSave(100);
  clock.NoteStep(10);
  clock.NoteStep(1);  // the longest counts
  EXPECT_FALSE(clock.Due(end - seconds(240)));
  EXPECT_TRUE(clock.Due(end - seconds(219)));
  clock.NoteSave(10);  // the latest counts
  EXPECT_FALSE(clock.Due(end - seconds(60)));
  EXPECT_TRUE(clock.Due(end - seconds(39)));
}

/// The exit code of a child that runs `body`; 128 + the signal where one killed it.
int ExitOf(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(StopSignals, EndTheProcessAtOnceBeforeTheFirstStep) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP})
    EXPECT_EQ(ExitOf([signal] {
                InstallStopSignals(true);
                raise(signal);
              }),
              75)
        << signal;
}

TEST(StopSignals, ATerminalThatGoesAwayIsNoneUnderNohup) {
  EXPECT_EQ(ExitOf([] {
              signal(SIGHUP, SIG_IGN);
              InstallStopSignals(true);
              raise(SIGHUP);
              _exit(StopSignal());
            }),
            0);
}

TEST(StopSignals, ArePolledFromThenOnAndTheFirstIsRemembered) {
  EXPECT_EQ(ExitOf([] {
              InstallStopSignals(true);
              PollStopSignals();
              if (StopSignal() != 0) _exit(1);
              raise(SIGUSR2);
              raise(SIGUSR2);
              raise(SIGTERM);
              _exit(StopSignal() == SIGUSR2 ? 0 : 2);
            }),
            0);
}

TEST(StopSignals, ASecondInterruptASecondLaterEndsAtOnceAndOneByAnotherWayDoesNot) {
  EXPECT_EQ(ExitOf([] {
              InstallStopSignals(true);
              PollStopSignals();
              raise(SIGINT);
              raise(SIGINT);
              usleep(1'050'000);
              raise(SIGINT);
              _exit(3);
            }),
            128 + SIGINT);
}

}  // namespace
}  // namespace lockstep::run

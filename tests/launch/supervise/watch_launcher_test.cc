// What a launcher is told while it is watched: shells stand for mpirun.
#include "launch/supervise/watch_launcher.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {
namespace {

using std::chrono::steady_clock;

ChildOptions Piped() {
  ChildOptions options;
  options.pipe_stderr = true;
  options.own_group = true;
  return options;
}

/// Watches a shell that runs `script`. When it has said something, `signals` are sent to this process, `pause` apart.
class Watched {
 public:
  Watched(const std::string& script, std::vector<int> signals, std::chrono::milliseconds pause = {})
      : signals_(std::move(signals)), pause_(pause), shell_({"bash", "-c", script}, Piped()) {
    testing::internal::CaptureStderr();
    WatchLauncher(shell_, requests_, output_, {.look = [this] { Look(); }});
    shown_ = testing::internal::GetCapturedStderr();
  }

  int code() { return *shell_.Poll(); }
  int ending_signal() { return shell_.ending_signal(); }
  const std::string& shown() const { return shown_; }
  int looks() const { return looks_; }
  const StopRequests& requests() const { return requests_; }

 private:
  void Look() {
    ++looks_;
    if (!output_.mid_line()) return;  // its traps may not be there yet
    if (sent_ < signals_.size() && steady_clock::now() >= next_) {
      kill(getpid(), signals_[sent_++]);
      next_ = steady_clock::now() + pause_;
    }
  }

  StopRequests requests_;
  LauncherOutput output_;
  std::vector<int> signals_;
  const std::chrono::milliseconds pause_;
  size_t sent_ = 0;
  steady_clock::time_point next_ = steady_clock::now();
  ChildProcess shell_;
  int looks_ = 0;
  std::string shown_;
};

// Loops without children, which would get no signal.
constexpr char kWait[] = "exec 3<> <(:); while :; do read -t 0.02 -u 3; printf . >&2; done";

TEST(WatchLauncher, ShowsWhatItSaysToTheLastWord) {
  Watched watched("echo first >&2; printf last >&2; exit 3", {});
  EXPECT_EQ(watched.code(), 3);
  EXPECT_THAT(watched.shown(), testing::HasSubstr("first\nlast"));
  EXPECT_GE(watched.looks(), 1);
}

TEST(WatchLauncher, EveryRequestReachesRanksAsASignalThatMpirunPassesOn) {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) {
    Watched watched(std::string("trap 'exit 75' USR1; trap 'exit 1' USR2 TERM INT HUP;") + kWait, {signal});
    EXPECT_EQ(watched.code(), 75) << signal;
    EXPECT_THAT(watched.shown(), testing::HasSubstr("note: asked to stop: the ranks save and end\n"));
    EXPECT_TRUE(watched.requests().asked());
    EXPECT_FALSE(watched.requests().interrupted());
  }
  EXPECT_EQ(Watched(std::string("trap 'exit 75' USR2; trap 'exit 1' USR1;") + kWait, {SIGUSR2}).code(), 75);
}

TEST(WatchLauncher, ASecondInterruptEndsItWithoutSaving) {
  Watched watched(std::string("trap '' USR1;") + kWait, {SIGINT, SIGINT}, std::chrono::milliseconds(300));
  EXPECT_EQ(watched.ending_signal(), SIGTERM);
  EXPECT_TRUE(watched.requests().interrupted());
}

TEST(WatchLauncher, TwoInterruptsAtOnceAreOnePersons) {
  Watched watched(std::string("trap 'sleep 0.1; exit 75' USR1;") + kWait, {SIGINT, SIGINT});
  EXPECT_EQ(watched.code(), 75);
}

TEST(WatchLauncher, OneThatDoesNotEndAtASecondInterruptIsKilled) {
  const auto begun = steady_clock::now();
  Watched watched(std::string("trap '' USR1 TERM;") + kWait, {SIGINT, SIGINT}, std::chrono::milliseconds(300));
  EXPECT_EQ(watched.ending_signal(), SIGKILL);
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(20));
}

TEST(WatchLauncher, OneThatLivesOnWhenItHasLostAHostOrARankIsKilled) {
  StopRequests requests;
  const std::string box(74, '-');
  for (const std::string& said :
       {box + "\nORTE has lost communication with a remote daemon.\n" + box,
        std::string("[h1:27796] PMIX ERROR: UNREACHABLE in file ptl_base_connection_hdlr.c at line 388")}) {
    LauncherOutput output;
    ChildProcess launcher({"bash", "-c", "echo '" + said + "' >&2;" + kWait}, Piped());
    EXPECT_EQ(WatchLauncher(launcher, requests, output, {}, {.after_error = std::chrono::seconds(0)}),
              LauncherEnd::kAfterError);
  }
}

TEST(WatchLauncher, OneThatLivesOnWhenARankHasFailedIsKilled) {
  StopRequests requests;
  for (const bool ends : {true, false}) {
    LauncherOutput output;
    ChildProcess launcher({"bash", "-c", std::string("echo 'lockstep: error: bad' >&2;") + (ends ? "exit 6" : kWait)},
                          {.environment = {}, .pipe_stderr = true});
    const LauncherEnd end = WatchLauncher(launcher, requests, output, {},
                                          {.after_error = ends ? std::chrono::minutes(1) : std::chrono::seconds(0)});
    EXPECT_EQ(end, ends ? LauncherEnd::kByItself : LauncherEnd::kAfterError);
    EXPECT_EQ(launcher.Poll(), ends ? 6 : 128 + SIGKILL);
  }
}

// --- launchers that start no ranks

/// Says that ranks have joined, as their first one does.
const std::string kJoined = "echo '" + std::string(kJoinedLine) + "' >&2;";

TEST(WatchLauncher, OneWhoseRanksDoNotJoinIsKilled) {
  StopRequests requests;
  LauncherOutput output;
  ChildProcess launcher({"bash", "-c", std::string("echo starting >&2;") + kWait}, Piped());
  EXPECT_EQ(WatchLauncher(launcher, requests, output, {}, {.until_joined = std::chrono::milliseconds(200)}),
            LauncherEnd::kNeverStarted);
  EXPECT_EQ(launcher.ending_signal(), SIGKILL);
}

TEST(WatchLauncher, OneThatComplainsAndStartsNothingGetsLess) {
  const WatchLimits limits = {.until_joined = std::chrono::minutes(5), .after_trouble = std::chrono::milliseconds(200)};
  StopRequests requests;
  LauncherOutput output;
  ChildProcess launcher(
      {"bash", "-c",
       std::string("echo '[h:1] [[2,0],0] ORTE_ERROR_LOG: The system limit on number of pipes was reached' >&2;") +
           kWait},
      Piped());
  EXPECT_EQ(WatchLauncher(launcher, requests, output, {}, limits), LauncherEnd::kNeverStarted);
  // Where a rank lives, it may be a slow host's first minute all the same.
  LauncherOutput others;
  ChildProcess slow({"bash", "-c", "echo 'error: a' >&2; sleep 0.6; " + kJoined + "exit 3"}, Piped());
  EXPECT_EQ(WatchLauncher(slow, requests, others, {.sees_rank = [] { return true; }}, limits), LauncherEnd::kByItself);
  EXPECT_EQ(slow.Poll(), 3);
}

TEST(WatchLauncher, RanksThatJoinOrWorkHaveAllTime) {
  StopRequests requests;
  const WatchLimits limits = {.until_joined = std::chrono::milliseconds(1000), .after_trouble = {}};
  LauncherOutput output;
  ChildProcess joined({"bash", "-c", kJoined + "sleep 1.5; exit 4"}, Piped());
  EXPECT_EQ(WatchLauncher(joined, requests, output, {}, limits), LauncherEnd::kByItself);
  EXPECT_EQ(joined.Poll(), 4);
  LauncherOutput silent;
  ChildProcess working({"bash", "-c", "sleep 1.5; exit 4"}, Piped());
  EXPECT_EQ(WatchLauncher(working, requests, silent, {.sees_work = [] { return true; }}, limits),
            LauncherEnd::kByItself);
  EXPECT_EQ(working.Poll(), 4);
}

TEST(WatchLauncher, ARequestEndsOneThatHasNoRanksToPassItOnTo) {
  const auto begun = steady_clock::now();
  Watched watched(std::string("trap '' USR1 TERM;") + kWait, {SIGTERM});
  EXPECT_EQ(watched.ending_signal(), SIGKILL);
  EXPECT_THAT(watched.shown(), testing::HasSubstr("note: no rank has started that could save"));
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(30));
}

TEST(WatchLauncher, RanksThatHaveJoinedMaySaveForLonger) {
  Watched watched(kJoined + "trap 'trap \"\" USR1; sleep 6; exit 75' USR1;" + kWait, {SIGTERM});
  EXPECT_EQ(watched.code(), 75);
}

TEST(WatchLauncher, OneThatLivesOnWhenItsRanksHaveEndedIsKilled) {
  StopRequests requests;
  LauncherOutput output;
  ChildProcess launcher({"bash", "-c", kJoined + kWait}, Piped());
  EXPECT_EQ(WatchLauncher(launcher, requests, output, {.sees_end = [] { return true; }},
                          {.after_end = std::chrono::milliseconds(100)}),
            LauncherEnd::kAfterEnd);
}

}  // namespace
}  // namespace lockstep::launch

#include "launch/supervise/watch_launcher.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "launch/supervise/console.h"

namespace lockstep::launch {
namespace {

using std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(500);
constexpr auto kRepeatSignal = std::chrono::seconds(5);
constexpr auto kEndAtOnceLimit = std::chrono::seconds(3);
// What ranks that have not joined yet get to end by themselves at a request: they have nothing to save.
constexpr auto kUnjoinedLimit = std::chrono::seconds(5);

/// What the launcher is told of requests to stop.
class PassedOn {
 public:
  PassedOn(ChildProcess& launcher, const StopRequests& requests) : launcher_(launcher), requests_(requests) {}

  /// `request`: a signal that has just come; 0: none. `at_work`: there are ranks that can save.
  void Update(int request, bool at_work) {
    const auto now = steady_clock::now();
    if (request != 0 && asked_ == 0) {
      Say("note: asked to stop: the ranks save and end");
      first_asked_ = now;
    }
    if (request != 0) asked_ = request;
    const bool in_vain = asked_ != 0 && !at_work && now >= first_asked_ + kUnjoinedLimit;
    if (in_vain && !ending_) Say("note: no rank has started that could save: the launcher is ended");
    if (requests_.interrupted() || in_vain || ending_) {
      EndAtOnce(now);
    } else if (request != 0 || (asked_ != 0 && now >= repeat_at_)) {
      // A signal that mpirun gets while it starts ranks reaches none of them. Twice is as good as once.
      launcher_.Signal(asked_ == SIGUSR2 ? SIGUSR2 : SIGUSR1);
      repeat_at_ = now + kRepeatSignal;
    }
  }

 private:
  void EndAtOnce(steady_clock::time_point now) {
    if (!ending_) {
      launcher_.Signal(SIGTERM);
      kill_at_ = now + kEndAtOnceLimit;
    }
    ending_ = true;
    if (now >= kill_at_) launcher_.Signal(SIGKILL);
  }

  ChildProcess& launcher_;
  const StopRequests& requests_;
  int asked_ = 0;
  bool ending_ = false;
  steady_clock::time_point first_asked_, repeat_at_, kill_at_;
};

void PassOutput(int fd, LauncherOutput& output) {
  char part[8192];
  for (ssize_t n; (n = read(fd, part, sizeof(part))) > 0;)
    WriteOut(output.Add(std::string(part, static_cast<size_t>(n))));
}

/// Whether the job can only end: a rank has said why it ends, or mpirun that it misses a host, or a rank that died
/// while it was about to report to it (then Open MPI 4 sometimes lets the others wait for it for ever).
bool HasFailed(const LauncherOutput& output) {
  const std::string& text = output.launcher_text();
  return output.error_seen() || text.find("has lost communication with a remote daemon") != std::string::npos ||
         text.find("PMIX ERROR: UNREACHABLE") != std::string::npos;
}

/// What may happen once, and how long ago that is.
class Moment {
 public:
  void Note(steady_clock::duration now) {
    if (!std::exchange(come_, true)) at_ = now;
  }
  bool IsPast(steady_clock::duration now, std::chrono::milliseconds limit) const { return come_ && now >= at_ + limit; }
  bool come() const { return come_; }

 private:
  bool come_ = false;
  steady_clock::duration at_{0};
};

/// Until when the launcher may live, and what it has come to afterwards.
class Deadline {
 public:
  Deadline(const WatchLimits& limits, const WatchEyes& eyes) : limits_(limits), eyes_(eyes) {}

  /// The end that the launcher has come to; kByItself: none yet.
  LauncherEnd Look(const LauncherOutput& output) {
    const Time now = Awake();
    if (limits_.after_error && HasFailed(output)) failed_.Note(now);
    if (limits_.after_error && failed_.IsPast(now, *limits_.after_error)) return LauncherEnd::kAfterError;
    if (limits_.after_end && !ended_.come() && now >= look_at_ && eyes_.sees_end()) ended_.Note(now);
    if (now >= look_at_) look_at_ = now + kLook;
    if (limits_.after_end && ended_.IsPast(now, *limits_.after_end)) return LauncherEnd::kAfterEnd;
    joined_ = joined_ || output.joined();
    if (!IsOverdue(output, now)) return LauncherEnd::kByItself;
    joined_ = eyes_.sees_work();
    return joined_ ? LauncherEnd::kByItself : LauncherEnd::kNeverStarted;
  }
  /// Whether ranks have joined, or work.
  bool AtWork() {
    joined_ = joined_ || eyes_.sees_work();
    return joined_;
  }

 private:
  using Time = steady_clock::duration;

  /// Time in which this process was stopped, and the job with it (Slurm suspends both), counts for little.
  Time Awake() {
    const auto now = steady_clock::now();
    awake_ += std::min<Time>(now - std::exchange(last_, now), 4 * kLook);
    return awake_;
  }
  bool IsOverdue(const LauncherOutput& output, Time now) {
    if (joined_) return false;
    const bool seen = eyes_.sees_rank();
    if (limits_.until_joined && now >= (seen ? 2 : 1) * *limits_.until_joined) return true;
    if (!limits_.after_trouble || seen || !SaysTrouble(output.early_text())) return false;
    trouble_.Note(now);
    return trouble_.IsPast(now, *limits_.after_trouble);
  }

  const WatchLimits limits_;
  const WatchEyes& eyes_;
  steady_clock::time_point last_ = steady_clock::now();
  Time awake_{0}, look_at_{0};
  Moment failed_, ended_, trouble_;
  bool joined_ = false;
};

}  // namespace

LauncherEnd WatchLauncher(ChildProcess& launcher, StopRequests& requests, LauncherOutput& output, const WatchEyes& eyes,
                          const WatchLimits& limits) {
  PassedOn passed_on(launcher, requests);
  Deadline deadline(limits, eyes);
  LauncherEnd end = LauncherEnd::kByItself;
  for (bool running = true; running;) {
    const int request = requests.Wait(kLook, launcher.stderr_fd());
    running = !launcher.Poll();  // before the last read: what it said while it ended is read too
    PassOutput(launcher.stderr_fd(), output);
    eyes.look();
    passed_on.Update(request, !requests.asked() || deadline.AtWork());
    if (running && end == LauncherEnd::kByItself) end = deadline.Look(output);
    if (running && end != LauncherEnd::kByItself) launcher.Signal(SIGKILL);
  }
  WriteOut(output.Finish());
  if (output.mid_line()) WriteOut(isatty(STDERR_FILENO) ? "\r\033[K" : "\n");
  return end;
}

}  // namespace lockstep::launch

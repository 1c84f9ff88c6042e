#include "launch/supervise/watch_launcher.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "launch/supervise/console.h"

namespace lockstep::launch {
namespace {

using std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(500);
constexpr auto kRepeatSignal = std::chrono::seconds(5);
constexpr auto kEndAtOnceLimit = std::chrono::seconds(3);

/// What the launcher is told of requests to stop.
class PassedOn {
 public:
  PassedOn(ChildProcess& launcher, const StopRequests& requests) : launcher_(launcher), requests_(requests) {}

  /// `request`: a signal that has just come; 0: none.
  void Update(int request) {
    const auto now = steady_clock::now();
    if (request != 0 && asked_ == 0) Say("note: asked to stop: the ranks save and end");
    if (request != 0) asked_ = request;
    if (requests_.interrupted()) {
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
  steady_clock::time_point repeat_at_, kill_at_;
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

}  // namespace

bool WatchLauncher(ChildProcess& launcher, StopRequests& requests, LauncherOutput& output,
                   const std::function<void()>& look, std::optional<std::chrono::milliseconds> after_error) {
  PassedOn passed_on(launcher, requests);
  auto end_by = steady_clock::time_point::max();
  bool overdue = false;
  for (bool running = true; running;) {
    const int request = requests.Wait(kLook, launcher.stderr_fd());
    running = !launcher.Poll();  // before the last read: what it said while it ended is read too
    PassOutput(launcher.stderr_fd(), output);
    look();
    passed_on.Update(request);
    const auto now = steady_clock::now();
    if (after_error && HasFailed(output)) end_by = std::min(end_by, now + *after_error);
    if (!running || now < end_by) continue;
    overdue = true;
    launcher.Signal(SIGKILL);
  }
  WriteOut(output.Finish());
  if (output.mid_line()) WriteOut(isatty(STDERR_FILENO) ? "\r\033[K" : "\n");
  return overdue;
}

}  // namespace lockstep::launch

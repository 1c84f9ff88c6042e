#include "base/stop_signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/error.h"
#include "base/terminal.h"

namespace lockstep {
namespace {

// What handlers touch: lock-free atomics and plain data that is set before they are installed.
std::atomic<int> stop_signal{0};
std::atomic<bool> polled{false};
std::atomic<int64_t> first_interrupt_ms{-1};
bool speaks = true;

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

void Say(const char* text) {
  if (!speaks) return;
  constexpr char kErase[] = "\r\x1b[K";  // what the terminal shows of the key press
  [[maybe_unused]] ssize_t written = isatty(STDERR_FILENO) != 0 ? write(STDERR_FILENO, kErase, sizeof(kErase) - 1) : 0;
  written = write(STDERR_FILENO, text, strlen(text));
}

void OnSignal(int signal) {
  if (!polled.load()) {
    Say("lockstep: stopped by a signal before the first step; start again to go on\n");
    _exit(ExitCodeOf(ErrorKind::kPreempted));
  }
  if (signal == SIGINT) {
    // The same key press may arrive by way of the launcher and of the terminal.
    constexpr int64_t kSamePressMs = 1000;
    int64_t none = -1;
    if (!first_interrupt_ms.compare_exchange_strong(none, NowMs()) &&
        NowMs() - first_interrupt_ms.load() >= kSamePressMs) {
      ClearStatusInHandler();
      _exit(128 + SIGINT);
    }
  }
  int nothing = 0;
  stop_signal.compare_exchange_strong(nothing, signal);
}

}  // namespace

void InstallStopSignals(bool first) {
  speaks = first;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  // Waits of libraries go on where a signal comes; ours look at the flag themselves.
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaction(signal, &action, nullptr);
  struct sigaction hangup {};
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

void PollStopSignals() { polled = true; }

int StopSignal() { return stop_signal.load(); }

}  // namespace lockstep

#include "launch/supervise/stop_requests.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"

namespace lockstep::launch {
namespace {

// Some launchers deliver a signal twice at once; a person needs longer.
constexpr auto kSameInterrupt = std::chrono::milliseconds(200);

/// SIGHUP comes when the terminal goes away; under nohup it is ignored, and stays so.
bool IsIgnored(int number) {
  struct sigaction action {};
  sigaction(number, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

sigset_t Watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&set, number);
  if (!IsIgnored(SIGHUP)) sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

StopRequests::StopRequests() {
  const sigset_t set = Watched();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  CHECK(fd_ >= 0);
}

StopRequests::~StopRequests() {
  const sigset_t set = Watched();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  close(fd_);
}

int StopRequests::Note(int number) {
  if (number == SIGCHLD) return 0;
  const auto now = std::chrono::steady_clock::now();
  if (number == SIGINT) {
    if (!got_interrupt_)
      first_interrupt_ = now;
    else if (now - first_interrupt_ >= kSameInterrupt)
      interrupted_ = true;
    got_interrupt_ = true;
  }
  asked_ = true;
  return number;
}

int StopRequests::Wait(std::chrono::milliseconds limit, int fd) {
  pollfd waits[] = {{fd_, POLLIN, 0}, {fd, POLLIN, 0}};
  poll(waits, 2, static_cast<int>(limit.count()));
  signalfd_siginfo info{};
  while (read(fd_, &info, sizeof(info)) == sizeof(info))
    if (const int asked = Note(static_cast<int>(info.ssi_signo)); asked != 0) return asked;
  return 0;
}

}  // namespace lockstep::launch

#include "launch/supervise/launcher/guardian.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/error.h"
#include "launch/supervise/launcher/job_traces.h"

namespace lockstep::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook(20);
constexpr milliseconds kKillLimit(5000);

/// Closes all files but `kept`, so that nobody who waits for the end of a pipe waits for this process.
void CloseOthers(int kept) {
  std::vector<int> open_files;
  if (DIR* folder = opendir("/proc/self/fd")) {
    while (const dirent* entry = readdir(folder))
      if (const int fd = std::atoi(entry->d_name); fd > STDERR_FILENO && fd != kept && fd != dirfd(folder))
        open_files.push_back(fd);
    closedir(folder);
  }
  for (const int fd : open_files) close(fd);
  const int nothing = open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, fd);
}

/// Waits until the job's processes have ended, and kills them after `limit`.
void EndJob(JobTraces& traces, milliseconds limit) {
  const auto end = steady_clock::now() + limit;
  for (std::vector<pid_t> left; !(left = traces.Processes()).empty() && steady_clock::now() < end;) {
    for (const pid_t pid : left) traces.Observe(pid);  // the launcher is one of them
    std::this_thread::sleep_for(kLook);
  }
  if (traces.KillProcesses(kKillLimit)) traces.RemoveLeftovers();
}

[[noreturn]] void Guard(int parent_lives, const std::string& job_id, milliseconds limit) {
  setsid();  // what a terminal or a shell sends to the supervisor's group is not for it
  prctl(PR_SET_NAME, "lockstep-guard");
  CloseOthers(parent_lives);
  [[maybe_unused]] const int left = chdir("/");
  JobTraces traces(job_id);  // of files, it looks only at those that come from now on
  char byte = 0;
  while (read(parent_lives, &byte, 1) < 0 && errno == EINTR) {
  }
  EndJob(traces, limit);
  _exit(0);
}

}  // namespace

Guardian::Guardian(const std::string& job_id, milliseconds limit) {
  int ends[2] = {-1, -1};
  // In the guardian they stay blocked: it has to outlive what people send to all that is called lockstep.
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_ = pipe2(ends, O_CLOEXEC) == 0 ? fork() : -1;
  const int reason = errno;
  if (pid_ == 0) {
    close(ends[1]);
    Guard(ends[0], job_id, limit);
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (ends[0] >= 0) close(ends[0]);
  alive_ = ends[1];
  if (pid_ > 0) return;
  if (alive_ >= 0) close(alive_);
  throw Error(ErrorKind::kUsage, fmt::format("can't make a process: {}", std::strerror(reason)), "lockstep run",
              reason == EAGAIN ? "raise the limit of processes: ulimit -u, or pids.max of the control group" : "");
}

Guardian::~Guardian() {
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(alive_);
}

}  // namespace lockstep::launch

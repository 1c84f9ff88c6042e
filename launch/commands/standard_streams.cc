#include "launch/commands/standard_streams.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"

namespace lockstep::launch {
namespace {

void Ignore(int number) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  sigaction(number, &action, nullptr);
}

}  // namespace

void PrepareStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one: those below are open.
    if (open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY) != stream)
      _exit(ExitCodeOf(ErrorKind::kAccess));
  }
  Ignore(SIGXFSZ);
}

void OutliveReaders() { Ignore(SIGPIPE); }

void FlushStandardOutput() {
  const bool failed_before = std::ferror(stdout) != 0;
  const int reason = std::fflush(stdout) == 0 ? EIO : errno;
  if (!failed_before && std::ferror(stdout) == 0) return;
  std::clearerr(stdout);
  __fpurge(stdout);
  if (reason != EPIPE) throw FileError(reason, "can't write", "standard output").As(ErrorKind::kStorage);
}

}  // namespace lockstep::launch

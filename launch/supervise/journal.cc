#include "launch/supervise/journal.h"

#include <fcntl.h>
#include <unistd.h>

namespace lockstep::launch {

void Journal::Write() {
  if (waiting_.empty()) return;
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) return;
  const ssize_t written = write(file, waiting_.data(), waiting_.size());
  if (written > 0) waiting_.erase(0, static_cast<size_t>(written));
  close(file);
}

}  // namespace lockstep::launch

#include "base/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/mutex.h"

namespace lockstep {
namespace {

constexpr char kErase[] = "\r\x1b[K";

/// Whether a status line is shown. Changed under TheMutex; a handler looks at it.
std::atomic<bool> status_shown{false};

/// Never destroyed: threads may print while the process exits.
Mutex& TheMutex() {
  static auto* mutex = new Mutex;
  return *mutex;
}

/// In one write, so that lines of several processes don't mix.
void Write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// Follows what another process writes: where lines begin, and whether its status line is shown.
class Follower {
 public:
  /// `text` with colours where `colours`.
  std::string Follow(const std::string& text, bool colours) {
    std::string shown;
    for (size_t i = 0; i < text.size();) {
      const size_t end = NextEnd(text, i);
      const std::string part = text.substr(i, end - i);
      shown += colours && begins_line_ ? Coloured(part) : part;
      for (const char c : part) Step(c);
      i = end;
    }
    return shown;
  }

  bool status_shown() const { return visible_ && redraws_; }

 private:
  /// Behind the next end of a line, or what erases one.
  static size_t NextEnd(const std::string& text, size_t from) {
    const size_t line = text.find('\n', from), erased = text.find(kErase, from);
    return std::min({text.size(), line == std::string::npos ? line : line + 1,
                     erased == std::string::npos ? erased : erased + sizeof(kErase) - 1});
  }

  void Step(char c) {
    tail_ = (tail_ + c).substr(tail_.size() >= sizeof(kErase) - 1 ? 1 : 0);
    begins_line_ = c == '\n' || tail_ == kErase;
    if (c == '\n' || c == '\r') redraws_ = c == '\r';
    if (begins_line_)
      visible_ = false;
    else if (c != '\r' && c != '\x1b')
      visible_ = true;
  }

  std::string tail_;
  bool begins_line_ = true, visible_ = false, redraws_ = false;
};

Follower& TheFollower() {
  static auto* follower = new Follower;
  return *follower;
}

int ColumnsOf(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/// Of the terminal that the process was started from, where standard error is a pipe of a launcher's.
int ColumnsOfOwnTerminal() {
  const int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (terminal < 0) return 0;
  const int columns = ColumnsOf(terminal);
  close(terminal);
  return columns;
}

}  // namespace

bool HasColours() {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && (refused == nullptr || *refused == '\0') && terminal != nullptr &&
         std::strcmp(terminal, "dumb") != 0 && *terminal != '\0';
}

std::string Coloured(const std::string& line) {
  static constexpr struct {
    std::string_view word, colour;
  } kWords[] = {{"lockstep: error:", "\x1b[1;31m"},
                {"lockstep: warning:", "\x1b[1;33m"},
                {"warning:", "\x1b[1;33m"},
                {"note:", "\x1b[1;36m"}};
  for (const auto& [word, colour] : kWords)
    if (line.starts_with(word)) return std::string(colour) + std::string(word) + "\x1b[0m" + line.substr(word.size());
  return line;
}

void PrintLine(const std::string& line) {
  const MutexLock lock(TheMutex());
  const bool shown = status_shown.exchange(false);
  Write((shown ? kErase : "") + (HasColours() ? Coloured(line) : line) + "\n");
}

void ShowStatus(const std::string& text) {
  const MutexLock lock(TheMutex());
  status_shown = true;
  Write("\r" + text + "\x1b[K");
}

void ClearStatus() {
  const MutexLock lock(TheMutex());
  if (status_shown.exchange(false)) Write(kErase);
}

void ClearStatusInHandler() {
  if (!status_shown.exchange(false)) return;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kErase, sizeof(kErase) - 1);
}

void PassThrough(const std::string& text) {
  const MutexLock lock(TheMutex());
  Write(TheFollower().Follow(text, HasColours()));
  status_shown = TheFollower().status_shown();
}

int TerminalColumns() {
  constexpr int kUsual = 80;
  if (const int columns = ColumnsOf(STDERR_FILENO); columns > 0) return columns;
  if (const int columns = ColumnsOfOwnTerminal(); columns > 0) return columns;
  const char* said = std::getenv("COLUMNS");
  const int columns = said == nullptr ? 0 : std::atoi(said);
  return columns > 0 ? columns : kUsual;
}

}  // namespace lockstep

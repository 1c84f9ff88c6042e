#include "base/terminal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace lockstep {
namespace {

/// Standard error is a terminal while it lives.
class FakeTerminal {
 public:
  FakeTerminal() {
    main_ = posix_openpt(O_RDWR | O_NOCTTY);
    if (main_ < 0 || grantpt(main_) != 0 || unlockpt(main_) != 0) return;
    const int end = open(ptsname(main_), O_RDWR | O_NOCTTY);
    before_ = dup(STDERR_FILENO);
    dup2(end, STDERR_FILENO);
    close(end);
  }
  ~FakeTerminal() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    close(main_);
  }

  bool works() const { return before_ >= 0; }
  void Resize(unsigned short columns) {
    winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ioctl(main_, TIOCSWINSZ, &size);
  }
  /// What was written so far.
  std::string Read() const {
    std::string text;
    char part[4096];
    for (pollfd ready{main_, POLLIN, 0}; poll(&ready, 1, 0) == 1;) {
      const ssize_t n = read(main_, part, sizeof(part));
      if (n <= 0) break;
      text.append(part, static_cast<size_t>(n));
    }
    return text;
  }

 private:
  int main_ = -1, before_ = -1;
};

class Terminal : public testing::Test {
 protected:
  void SetUp() override {
    if (!terminal_.works()) GTEST_SKIP() << "no pseudo terminal here";
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
  }

  FakeTerminal terminal_;
};

TEST_F(Terminal, ColoursTheWordsThatLinesBeginWith) {
  PrintLine("lockstep: error: no");
  PrintLine("warning: careful");
  PrintLine("note: so");
  PrintLine("step 3");
  EXPECT_EQ(terminal_.Read(),
            "\x1b[1;31mlockstep: error:\x1b[0m no\r\n\x1b[1;33mwarning:\x1b[0m careful\r\n"
            "\x1b[1;36mnote:\x1b[0m so\r\nstep 3\r\n");
}

TEST_F(Terminal, HasNoColoursWhereTheyAreRefused) {
  setenv("NO_COLOR", "1", 1);
  PrintLine("note: so");
  setenv("NO_COLOR", "", 1);  // as if it weren't set
  EXPECT_TRUE(HasColours());
  setenv("TERM", "dumb", 1);
  PrintLine("note: so");
  EXPECT_EQ(terminal_.Read(), "note: so\r\nnote: so\r\n");
}

TEST_F(Terminal, KnowsItsWidthAndFollowsIt) {
  terminal_.Resize(132);
  EXPECT_EQ(TerminalColumns(), 132);
  terminal_.Resize(40);
  EXPECT_EQ(TerminalColumns(), 40);
}

TEST_F(Terminal, AStatusLineGivesWayToOthers) {
  ShowStatus("[##..] 1/2");
  ShowStatus("[####] 2/2");
  PrintLine("step 2");
  PrintLine("step 3");
  ShowStatus("[####]");
  ClearStatus();
  ClearStatus();
  EXPECT_EQ(terminal_.Read(), "\r[##..] 1/2\x1b[K\r[####] 2/2\x1b[K\r\x1b[Kstep 2\r\nstep 3\r\n\r[####]\x1b[K\r\x1b[K");
}

TEST_F(Terminal, LinesOfOtherProcessesHaveColoursTooAndTheirStatusLineGivesWay) {
  PassThrough("note: one\nstep 1\nwarn");
  PassThrough("ing: no beginning of a line\n\r[#...]\x1b[K");
  PassThrough("\r[##..]\x1b[K");
  PrintLine("note: mine");
  PassThrough("\r[###.]\x1b[K\r\x1b[Knote: theirs\n");
  PrintLine("last");
  const std::string note = "\x1b[1;36mnote:\x1b[0m ";
  EXPECT_EQ(terminal_.Read(), note +
                                  "one\r\nstep 1\r\nwarning: no beginning of a line\r\n\r[#...]\x1b[K\r[##..]\x1b[K" +
                                  "\r\x1b[K" + note + "mine\r\n\r[###.]\x1b[K\r\x1b[K" + note + "theirs\r\nlast\r\n");
}

TEST(NoTerminal, HasNoColours) {
  setenv("TERM", "xterm", 1);
  testing::internal::CaptureStderr();
  PrintLine("note: so");
  EXPECT_FALSE(HasColours());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "note: so\n");
}

}  // namespace
}  // namespace lockstep

#include "launch/supervise/launcher/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <utility>

#include "base/error.h"

namespace lockstep::launch {
namespace {

using std::chrono::steady_clock;

/// A pipe, or none; what is still open is closed at its end.
class Pipe {
 public:
  explicit Pipe(bool wanted) {
    int ends[2];
    if (!wanted) return;
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw Error(ErrorKind::kUsage, fmt::format("can't make a pipe: {}", std::strerror(errno)));
    read_ = ends[0];
    write_ = ends[1];
  }
  ~Pipe() {
    CloseWrite();
    if (read_ >= 0) close(read_);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return read_; }  ///< -1: there is none
  int write_end() const { return write_; }
  void CloseWrite() {
    if (write_ >= 0) close(write_);
    write_ = -1;
  }
  /// The read end is the caller's from now on.
  int ReleaseRead() { return std::exchange(read_, -1); }

 private:
  int read_ = -1, write_ = -1;
};

/// "NAME=VALUE" of this process, with `added` in place of those of the same names.
std::vector<std::string> Environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (added.find(text.substr(0, text.find('='))) == added.end()) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// What the child does after fork, where only calls are allowed that are safe there. Does not return.
[[noreturn]] void BecomeProgram(char** words, char** environment, const ChildOptions& options, pid_t parent,
                                const Pipe& out, const Pipe& err, int failed) {
  if (options.death_signal != 0) {
    prctl(PR_SET_PDEATHSIG, options.death_signal);
    if (getppid() != parent) _exit(1);  // it died before the call
  }
  if (options.own_group) setpgid(0, 0);
  // What this process blocks would stay blocked in the program.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // As would what it ignores.
  for (const int number : {SIGPIPE, SIGXFSZ}) signal(number, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  if (out.write_end() >= 0) dup2(out.write_end(), STDOUT_FILENO);
  if (err.write_end() >= 0) dup2(err.write_end(), STDERR_FILENO);
  execvpe(words[0], words, environment);
  const int reason = errno;
  [[maybe_unused]] const ssize_t told = write(failed, &reason, sizeof(reason));
  _exit(127);
}

std::string HintOn(int reason) {
  if (reason == ENOENT) return "install it, or put its folder on the PATH";
  if (reason == EAGAIN) return "raise the limit of processes: ulimit -u, or pids.max of the control group";
  if (reason == E2BIG) return "its words and the environment are too long";
  return "";
}

/// Appends what can be read now; false at the end.
bool ReadAvailable(int fd, std::string& text) {
  char part[4096];
  for (;;) {
    const ssize_t n = read(fd, part, sizeof(part));
    if (n > 0)
      text.append(part, static_cast<size_t>(n));
    else if (n == 0)
      return false;
    else if (errno != EINTR)
      return errno == EAGAIN;
  }
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, const ChildOptions& options)
    : own_group_(options.own_group) {
  CHECK(!words.empty());
  std::vector<std::string> arguments = words, environment = Environment(options.environment);
  std::vector<char*> argument_pointers = Pointers(arguments), environment_pointers = Pointers(environment);
  Pipe out(options.pipe_stdout), err(options.pipe_stderr), failed(true);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0)
    BecomeProgram(argument_pointers.data(), environment_pointers.data(), options, parent, out, err, failed.write_end());
  const int fork_error = errno;
  out.CloseWrite();
  err.CloseWrite();
  failed.CloseWrite();
  int reason = pid_ < 0 ? fork_error : 0;
  if (pid_ > 0 && read(failed.read_end(), &reason, sizeof(reason)) != sizeof(reason)) reason = 0;
  if (reason == 0) {
    stdout_fd_ = out.ReleaseRead();
    stderr_fd_ = err.ReleaseRead();
    for (const int fd : {stdout_fd_, stderr_fd_})
      if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
    return;
  }
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  throw Error(ErrorKind::kUsage, fmt::format("can't be started: {}", std::strerror(reason)), words.front(),
              HintOn(reason));
}

ChildProcess::~ChildProcess() {
  if (!Poll()) {
    kill(own_group_ ? -pid_ : pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  for (const int fd : {stdout_fd_, stderr_fd_})
    if (fd >= 0) close(fd);
}

std::optional<int> ChildProcess::Poll() {
  if (code_) return code_;
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, WNOHANG);
  if (ended != pid_) return std::nullopt;
  ending_signal_ = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  code_ = ending_signal_ != 0 ? 128 + ending_signal_ : WEXITSTATUS(status);
  return code_;
}

void ChildProcess::Signal(int number) {
  if (!Poll()) kill(pid_, number);
}

std::vector<Captured> RunAll(const std::vector<std::vector<std::string>>& commands, std::chrono::milliseconds limit) {
  constexpr int kLookMilliseconds = 20;  // nothing tells of a child's end: it is looked for so often
  std::vector<Captured> results(commands.size());
  std::vector<std::unique_ptr<ChildProcess>> children(commands.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    try {
      children[i] = std::make_unique<ChildProcess>(
          commands[i],
          ChildOptions{
              .environment = {}, .pipe_stdout = true, .pipe_stderr = true, .own_group = true, .death_signal = SIGKILL});
    } catch (const Error& error) {
      results[i] = {127, "", error.what()};
    }
  }
  const auto end = steady_clock::now() + limit;
  for (bool running = true; running;) {
    running = false;
    for (size_t i = 0; i < children.size(); ++i) {
      if (!children[i]) continue;
      const std::optional<int> code = children[i]->Poll();
      ReadAvailable(children[i]->stdout_fd(), results[i].output);
      ReadAvailable(children[i]->stderr_fd(), results[i].errors);
      if (code || steady_clock::now() >= end) {
        results[i].code = code.value_or(124);
        children[i].reset();
        continue;
      }
      running = true;
    }
    if (running) poll(nullptr, 0, kLookMilliseconds);
  }
  return results;
}

Captured RunForOutput(const std::vector<std::string>& words, std::chrono::milliseconds limit) {
  return RunAll({words}, limit).front();
}

std::string PathOf(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  return "";
}

bool IsOnPath(const std::string& name) { return !PathOf(name).empty(); }

std::string ShellWord(const std::string& word) {
  constexpr char kPlain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string ShellWords(const std::vector<std::string>& words) {
  std::vector<std::string> quoted;
  for (const std::string& word : words) quoted.push_back(ShellWord(word));
  return fmt::format("{}", fmt::join(quoted, " "));
}

}  // namespace lockstep::launch

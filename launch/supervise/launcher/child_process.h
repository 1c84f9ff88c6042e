// Programs that a command starts: mpirun, ssh, sbatch, squeue.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::launch {

struct ChildOptions {
  std::map<std::string, std::string> environment;  ///< beside this process's own
  bool pipe_stdout = false, pipe_stderr = false;   ///< else the child writes where this process does
  bool own_group = false;  ///< Ctrl-C on the terminal doesn't reach it: it gets the signals that it is sent
  int death_signal = 0;    ///< sent to it when the thread that started it dies, by kill -9 too; 0: none
};

/// A running child; its standard input is empty. Not thread-safe.
class ChildProcess {
 public:
  /// Throws Error(kUsage) where there is no such program.
  ChildProcess(const std::vector<std::string>& words, const ChildOptions& options);
  /// Kills it, where it still runs, with its group, where it has one of its own, and waits for its end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  int stdout_fd() const { return stdout_fd_; }  ///< does not block; -1 without a pipe
  int stderr_fd() const { return stderr_fd_; }
  /// The exit code, once it has ended: a shell's, 128 + signal for one that a signal ended.
  std::optional<int> Poll();
  /// The signal that ended it; 0: none. REQUIRES: Poll() has said that it ended.
  int ending_signal() const { return ending_signal_; }
  /// Sends a signal, unless it has ended.
  void Signal(int number);

 private:
  pid_t pid_ = -1;
  bool own_group_ = false;
  int stdout_fd_ = -1, stderr_fd_ = -1;
  std::optional<int> code_;
  int ending_signal_ = 0;
};

/// What a program that runs for a moment said and how it ended.
struct Captured {
  int code = -1;  ///< 127 where it can't be started, 124 where it took too long
  std::string output, errors;
};

/// Runs programs side by side, each until it ends or `limit` is over, when it is killed.
std::vector<Captured> RunAll(const std::vector<std::vector<std::string>>& commands, std::chrono::milliseconds limit);
Captured RunForOutput(const std::vector<std::string>& words, std::chrono::milliseconds limit);

/// Where on the PATH the program is; empty where it isn't.
std::string PathOf(const std::string& name);
/// Whether `name` is a program on the PATH.
bool IsOnPath(const std::string& name);

/// The words as a shell reads them back.
std::string ShellWords(const std::vector<std::string>& words);
std::string ShellWord(const std::string& word);

}  // namespace lockstep::launch

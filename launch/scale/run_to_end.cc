#include "launch/scale/run_to_end.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/stop_signals.h"
#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {

int RunToEnd(const std::vector<std::string>& words, const std::string& log,
             const std::map<std::string, std::string>& environment) {
  // exec: the shell, which opens the log, becomes the program.
  const std::string line = "exec " + ShellWords(words) + " >" + ShellWord(log) + " 2>&1";
  ChildOptions options;
  options.environment = environment;
  options.own_group = true;
  options.death_signal = SIGTERM;
  ChildProcess child({"sh", "-c", line}, options);
  bool told = false;
  std::optional<int> code;
  while (!(code = child.Poll())) {
    if (StopSignal() != 0 && !std::exchange(told, true)) child.Signal(SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (StopSignal() != 0)
    throw Error(ErrorKind::kPreempted, "the study was asked to stop", "", "start it again to go on where it was");
  return *code;
}

std::string LastLine(const std::string& text) {
  const auto last = std::find_if(text.rbegin(), text.rend(), [](char c) { return std::isalpha(c & 0xFF) != 0; });
  if (last == text.rend()) return "";
  const auto at = static_cast<size_t>(text.rend() - last) - 1;
  const size_t before = text.rfind('\n', at), end = text.find('\n', at);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  return text.substr(begin, end == std::string::npos ? end : end - begin);
}

}  // namespace lockstep::launch

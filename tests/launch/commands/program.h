// The program as a shell calls it.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace lockstep::launch {

struct Ended {
  int code = -1;
  std::string output;  ///< standard output and error
};

inline Ended Call(const std::string& arguments, const std::string& redirection = "2>&1") {
  Ended ended;
  std::FILE* pipe = popen(("'" LOCKSTEP_BINARY "' " + arguments + " </dev/null " + redirection).c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> part;
  while (size_t n = std::fread(part.data(), 1, part.size(), pipe)) ended.output.append(part.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

inline const std::vector<std::string>& Commands() {
  static const std::vector<std::string> kCommands = {
      "train",   "eval",     "import",  "run",        "submit", "status",   "plan",      "inspect", "diff",
      "replay",  "report",   "verify",  "data",       "export", "tokenize", "tokenizer", "doctor",  "help",
      "version", "generate", "predict", "completion", "new",    "scale",    "profile",   "project", "tune"};
  return kCommands;
}

}  // namespace lockstep::launch

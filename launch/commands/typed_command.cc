#include "launch/commands/typed_command.h"

#include <fstream>
#include <vector>

#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {

std::string TypedCommand() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  if (!words.empty()) words.front() = "lockstep";
  return ShellWords(words);
}

}  // namespace lockstep::launch

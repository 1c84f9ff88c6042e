#include "launch/slurm/job_script.h"

#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {

std::string ScriptWord(const std::string& word, bool array) {
  if (!array) return ShellWord(word);
  std::string text;
  size_t at = 0;
  for (size_t found; (found = word.find("%a", at)) != std::string::npos; at = found + 2) {
    if (found > at) text += ShellWord(word.substr(at, found - at));
    text += "\"$SLURM_ARRAY_TASK_ID\"";
  }
  if (at < word.size() || word.empty()) text += ShellWord(word.substr(at));
  return text;
}

std::string WithArrayNumber(std::string text, const std::string& number) {
  for (size_t at; (at = text.find("%a")) != std::string::npos;) text.replace(at, 2, number);
  return text;
}

}  // namespace lockstep::launch

// A command that a study runs with its output in a file.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace lockstep::launch {

/// Runs the words, in `environment` beside this process's own, with their output in `log`; returns the exit code, as a
/// shell says it. Throws Error(kPreempted) where this process is asked to stop meanwhile: the command is ended first.
int RunToEnd(const std::vector<std::string>& words, const std::string& log,
             const std::map<std::string, std::string>& environment = {});

/// The last line of `text` with words; empty where there is none.
std::string LastLine(const std::string& text);

}  // namespace lockstep::launch

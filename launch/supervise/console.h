// Words for a person beside a command's result: they go to standard error at once.
#pragma once

#include <cstdio>
#include <string>

namespace lockstep::launch {

/// The text as it is: parts of lines too.
inline void WriteOut(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// One line.
inline void Say(const std::string& line) { WriteOut(line + "\n"); }

}  // namespace lockstep::launch

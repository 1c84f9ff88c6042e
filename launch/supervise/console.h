// Words for a person beside a command's result: they go to standard error at once.
#pragma once

#include <string>

#include "base/terminal.h"

namespace lockstep::launch {

/// The text as it is: parts of lines too.
inline void WriteOut(const std::string& text) { PassThrough(text); }

/// One line.
inline void Say(const std::string& line) { PrintLine(line); }

}  // namespace lockstep::launch

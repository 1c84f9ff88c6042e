// Standard error as people see it: whole lines, colours where it is a terminal, and one status line at its bottom that
// gives way to them. Any thread may call these.
#pragma once

#include <string>

namespace lockstep {

/// Whether standard error takes colours: it is a terminal that is not called dumb, and NO_COLOR (no-color.org) is unset
/// or empty.
bool HasColours();

/// `line` with the word that it begins with ("lockstep: error:", "warning:", "note:") coloured.
std::string Coloured(const std::string& line);

/// Writes `line` and an end of line to standard error, at once; coloured where HasColours(). A status line that is
/// shown goes.
void PrintLine(const std::string& line);

/// Shows `text`, of one line, in the place of what was shown before. It stays until ClearStatus or PrintLine.
void ShowStatus(const std::string& text);
void ClearStatus();
/// ClearStatus from a signal handler that is about to end the process.
void ClearStatusInHandler();

/// Writes what another process has written, parts of lines too. Its status line counts as this one's, and lines have
/// colours as PrintLine's.
void PassThrough(const std::string& text);

/// Columns of the terminal, as it is now: standard error's, else the process's own, else COLUMNS, else 80.
int TerminalColumns();

}  // namespace lockstep

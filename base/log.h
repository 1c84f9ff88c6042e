// Logging: spdlog behind three calls. Rank 0's notes and warnings go to standard error as well as to its log file;
// other ranks write to their files alone. Nothing is logged to standard output: that belongs to results.
#pragma once

#include <fmt/format.h>

#include <string>

namespace lockstep {

/// Starts the log. `path` may be empty (no file). `to_stderr` says whether notes and warnings are also printed.
void StartLog(const std::string& path, bool to_stderr, int rank);
/// Flushes what was logged to the file.
void FlushLog();

void LogLine(int level, const std::string& text);

template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(0, fmt::format(format, std::forward<Args>(args)...));
}
/// Printed as "note: ..." on standard error by rank 0, besides the file.
template <typename... Args>
void LogNote(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(1, fmt::format(format, std::forward<Args>(args)...));
}
/// Printed as "warning: ..." on standard error by rank 0, besides the file.
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  LogLine(2, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lockstep

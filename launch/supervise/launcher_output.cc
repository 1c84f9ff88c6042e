#include "launch/supervise/launcher_output.h"

#include <algorithm>
#include <regex>
#include <sstream>
#include <string_view>

#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {
namespace {

constexpr size_t kMostKept = 16384;
constexpr int kLongestBox = 40;  // lines; behind more of them what began the box was no edge of one
// The progress bar erases itself like this, without an end of line, before something else is said: what stands in front
// of it can be judged as a line.
constexpr std::string_view kErase = "\x1b[K";
constexpr std::string_view kError = "lockstep: error:";

bool IsEdge(std::string_view line) {
  return line.size() >= 60 && line.find_first_not_of('-') == std::string_view::npos;
}

bool IsRanks(std::string_view line) {
  for (const std::string_view start : {"lockstep: ", "note: ", "warning: ", "step ", "epoch ", "\r"})
    if (line.starts_with(start)) return true;
  return false;
}

/// Beginnings of lines that are the launcher's. "[host:pid] " is Open MPI's too, but also how it signs a rank's crash,
/// which is worth reading: only remarks of its own parts are meant.
constexpr std::string_view kStarts[] = {"mpirun: ",   "mpirun noticed", "prterun: ", "prterun noticed", "srun: ",
                                        "slurmstepd", "[proxy:",        "[mpiexec@", "In: PMI_Abort",   "srun noticed"};

/// Remarks of Open MPI's parts: "[h1:23] [[304,0],0] ORTE_ERROR_LOG: ...", "[h1][[304,1],0][btl_tcp_frag.c:241:...]
/// ...".
bool IsRemark(const std::string& line) {
  static const std::regex remark(
      R"(\[[^\]]*\] ?(\[\[\d+,\d+\],\d+\] ?)?()"
      R"(\d+ more process(es)? ha(s|ve) sent|Set MCA parameter|(ORTE|PRTE|PMIX|OPAL|OMPI)[_ ]ERROR|Data unpack|)"
      R"((plm|oob|odls|ess|btl|pml|mca|orte|orted|prted|tcp_peer)[_:]|\[btl_).*)");
  return std::regex_match(line, remark);
}

/// Whether a line that begins so may turn out to be the launcher's.
bool MayBecomeLaunchers(std::string_view beginning) {
  if (beginning.empty() || beginning.front() == '[') return beginning.size() < 256;
  if (beginning.find_first_not_of('-') == std::string_view::npos) return true;
  return std::any_of(std::begin(kStarts), std::end(kStarts), [&](std::string_view start) {
    return start.starts_with(beginning) || beginning.starts_with(start);
  });
}

/// Whether a line that begins so may turn out to be one that a supervisor wants to know whole.
bool IsOwnBeginning(std::string_view beginning) {
  return kError.starts_with(beginning) || kJoinedLine.starts_with(beginning);
}

}  // namespace

bool SaysTrouble(const std::string& text) {
  static const std::regex trouble(
      R"(error|fatal|fail|unable|cannot|can't|could not|not found|not enough|denied|no such|abort)", std::regex::icase);
  static const std::regex warning(R"(warning)", std::regex::icase);
  std::istringstream lines(text);
  bool in_box = false, box_warns = false;
  for (std::string line; std::getline(lines, line);) {
    if (IsEdge(line)) {
      in_box = !in_box;
      box_warns = false;
    }
    box_warns |= in_box && std::regex_search(line, warning);
    if (!box_warns && !std::regex_search(line, warning) && std::regex_search(line, trouble)) return true;
  }
  return false;
}

LauncherEvents ReadLauncherText(const std::string& text) {
  // Launchers break their sentences into lines.
  std::string flat = text;
  std::replace(flat.begin(), flat.end(), '\n', ' ');
  static const std::regex noticed(R"(process rank (\d+) with PID \d+ on node (\S+) +exited\s+on\s+signal (\d+))");
  static const std::regex exited(R"(Process name: \[\[\d+,\d+\],(\d+)\] +Exit code: +(\d+))");
  static const std::regex task(
      R"(srun: error: (\S+): tasks? (\d+)[^:]*: (Killed|Segmentation fault|Aborted|Bus error|Terminated|Floating point exception|Exited))");
  static const std::regex lost(
      R"(lost (connection|communication)|unable to (contact|communicate)|has lost|daemon.*(unexpectedly|failed)|Node failure|NODE FAIL)",
      std::regex::icase);
  static const std::regex memory(R"(oom[-_ ]kill|Out Of Memory|OUT_OF_MEMORY)", std::regex::icase);
  LauncherEvents events;
  std::smatch found;
  if (std::regex_search(flat, found, noticed)) {
    events.rank = std::stoi(found[1]);
    events.host = found[2];
    events.signal = std::stoi(found[3]);
  } else if (std::regex_search(flat, found, task)) {
    events.rank = std::stoi(found[2]);
    events.host = found[1];
    const std::string how = found[3];
    events.signal = how == "Killed"               ? 9
                    : how == "Segmentation fault" ? 11
                    : how == "Aborted"            ? 6
                    : how == "Bus error"          ? 7
                    : how == "Terminated"         ? 15
                    : how == "Exited"             ? 0
                                                  : 8;
  } else if (std::regex_search(flat, found, exited)) {
    events.rank = std::stoi(found[1]);
  }
  events.out_of_memory = std::regex_search(flat, memory);
  events.host_lost = std::regex_search(flat, lost);
  return events;
}

std::string LauncherOutput::Pass(const std::string& text) {
  if (!text.empty()) mid_line_ = text.back() != '\n';
  return text;
}

bool LauncherOutput::IsLaunchers(const std::string& line) {
  if (IsEdge(line)) {
    box_lines_ = box_lines_ < 0 ? 0 : -1;
    return true;
  }
  if (box_lines_ >= 0 && ++box_lines_ > kLongestBox) box_lines_ = -1;
  if (IsRanks(line)) return false;
  if (box_lines_ >= 0) return true;
  return std::any_of(std::begin(kStarts), std::end(kStarts),
                     [&](std::string_view start) { return line.starts_with(start); }) ||
         IsRemark(line);
}

/// Takes a line as it is in `line_`, and `line` without its end; returns what of it is shown.
std::string LauncherOutput::TakeLine(const std::string& line, bool erased) {
  if (line.ends_with(kJoinedLine)) {
    joined_ = true;
    return "";
  }
  if (passing_ || erased || !IsLaunchers(line)) return Pass(line_);
  if (launcher_text_.size() < kMostKept) launcher_text_ += line_;
  return "";
}

std::string LauncherOutput::Add(const std::string& bytes) {
  std::string shown;
  for (const char c : bytes) {
    line_ += c;
    if (!joined_ && early_text_.size() < kMostKept) early_text_ += c;
    if (line_ == kError) error_seen_ = true;
    const bool end = c == '\n', erased = !end && line_.ends_with(kErase);
    if (end || erased) {
      shown += TakeLine(line_.substr(0, line_.size() - (end ? 1 : 0)), erased);
      line_.clear();
      passing_ = false;
    } else if (passing_ || (box_lines_ < 0 && !MayBecomeLaunchers(line_) && !IsOwnBeginning(line_))) {
      // The rest of the line follows as it comes; an erasing sequence is recognised by its last letters alone.
      if (c == '\x1b' || line_.ends_with("\x1b[")) continue;
      shown += Pass(line_);
      line_.clear();
      passing_ = true;
    }
  }
  return shown;
}

std::string LauncherOutput::Finish() {
  std::string rest;
  if (!line_.empty() && (passing_ || !IsLaunchers(line_)))
    rest = Pass(line_);
  else
    launcher_text_ += line_;
  line_.clear();
  passing_ = false;
  return rest;
}

}  // namespace lockstep::launch

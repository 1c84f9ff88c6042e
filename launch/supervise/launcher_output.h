// What mpirun and srun say on standard error around what ranks say.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lockstep::launch {

/// What a launcher said about the end of its ranks.
struct LauncherEvents {
  std::optional<int> rank;     ///< that ended first
  std::string host;            ///< where it ran
  int signal = 0;              ///< that ended it
  bool out_of_memory = false;  ///< Slurm says that the kernel killed for want of memory
  bool host_lost = false;      ///< a host's daemon went away
};

/// Reads what a launcher said of its own.
LauncherEvents ReadLauncherText(const std::string& text);

/// Whether a launcher complains in what it said: words of errors, in lines and boxes that are no warnings.
bool SaysTrouble(const std::string& text);

/// Takes standard error of a job apart, as it comes: Add returns what a person should see, at once (a progress bar has
/// no ends of lines); what is the launcher's own is kept. Lines of ranks inside a launcher's box pass.
class LauncherOutput {
 public:
  std::string Add(const std::string& bytes);
  /// At the end: what was held back as the beginning of a line.
  std::string Finish();

  const std::string& launcher_text() const { return launcher_text_; }
  bool error_seen() const { return error_seen_; }  ///< a rank said "lockstep: error:"
  bool joined() const { return joined_; }          ///< the first rank said that all ranks have found each other
  /// What was said, by whomever, before ranks had joined.
  const std::string& early_text() const { return early_text_; }
  /// Whether what has passed ends in the middle of a line.
  bool mid_line() const { return mid_line_; }

 private:
  bool IsLaunchers(const std::string& line);
  std::string Pass(const std::string& text);
  std::string TakeLine(const std::string& line, bool erased);

  std::string line_;      // its beginning, not passed yet
  bool passing_ = false;  // the line's beginning has been passed
  int box_lines_ = -1;    // lines since a box's upper edge; -1 outside
  std::string launcher_text_, early_text_;
  bool error_seen_ = false, joined_ = false, mid_line_ = false;
};

}  // namespace lockstep::launch

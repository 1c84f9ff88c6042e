// What a run's folder says about the run, read from outside while it may be changing (docs/run-folder.md).
// RunFolderReader never fails: what is missing, torn, unreadable or of another form is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "trainer/records/run_records.h"

namespace lockstep::records {

/// A committed checkpoint: not verified.
struct CommittedCheckpoint {
  uint64_t step = 0;
  double written = 0;  ///< seconds since 1970
};

/// The run folder that `path` (itself, or a checkpoint in it) belongs to. Throws Error(kUsage) where it belongs to
/// none.
std::string RunFolderOf(const std::string& path);

/// Throws Error(kUsage) where `path`, an output that is written aside and renamed, is a folder or a device: root would
/// replace one.
void RequireReplaceable(const std::string& path);

class RunFolderReader {
 public:
  explicit RunFolderReader(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  /// A file of the folder that holds one JSON object; null where there is none.
  Json Object(const std::string& name) const;
  /// The rows of a .jsonl file, whole ones.
  std::vector<Json> Rows(const std::string& name) const;
  /// Of the last 64 KiB only.
  std::vector<Json> LastRows(const std::string& name) const;

  /// A whole file as it is now; empty where it can't be read.
  std::string Text(const std::string& name) const;

  std::optional<AttemptEnding> ReadEnding() const;
  /// The highest number of a start; 0: nothing has begun.
  uint32_t LastAttempt() const;
  std::optional<CommittedCheckpoint> FindNewestCheckpoint() const;
  /// All that are still there, by step.
  std::vector<CommittedCheckpoint> Checkpoints() const;
  /// The last step that is known of: of the newest checkpoint, or of the last row of metrics.
  uint64_t Progress() const;
  /// The first row of attempts.jsonl as it is: tells one run in the folder from its successor.
  std::string FirstAttempt() const;

 private:
  /// The end of a file, of `most` bytes; empty where it can't be read.
  std::string ReadEnd(const std::string& name, uint64_t most) const;

  std::string folder_;
};

}  // namespace lockstep::records

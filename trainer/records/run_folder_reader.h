// What a run's folder says about the run, read from outside while it may be changing (docs/run-folder.md). RunFiles
// never fails: what is missing, torn or of another form is not there.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::records {

/// verdict.json: how an attempt ended, in its own words.
struct AttemptEnding {
  int64_t attempt = 0;
  int exit_code = 0;
  std::string message, where;
  int64_t step = 0;
  std::string text;  ///< the file as it is: two verdicts are the same one where these are equal
};

/// The newest committed checkpoint: not verified.
struct NewestCheckpoint {
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
  nlohmann::json Object(const std::string& name) const;
  /// The rows of a .jsonl file, whole ones.
  std::vector<nlohmann::json> Rows(const std::string& name) const;
  /// Of the last 64 KiB only.
  std::vector<nlohmann::json> LastRows(const std::string& name) const;

  std::optional<AttemptEnding> ReadEnding() const;
  std::optional<NewestCheckpoint> FindNewestCheckpoint() const;
  /// The last step that is known of: of the newest checkpoint, or of the last row of metrics.
  uint64_t Progress() const;
  /// The first row of attempts.jsonl as it is: tells one run in the folder from its successor.
  std::string FirstAttempt() const;

 private:
  std::string folder_;
};

/// A number, text or whatever of `row`, where it has one of this kind.
double NumberIn(const nlohmann::json& row, const char* name, double otherwise = 0);
std::string TextIn(const nlohmann::json& row, const char* name);

}  // namespace lockstep::records

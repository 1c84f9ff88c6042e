// The folder of a supervised run: how far the run has come, and whether a fresh start has moved an old run aside yet.
#pragma once

#include <cstdint>
#include <string>

#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

/// Not thread-safe.
class SupervisedFolder {
 public:
  /// `fresh`: the first start that reaches the folder moves a run that is in there aside.
  SupervisedFolder(const std::string& folder, bool fresh);

  const records::RunFolderReader& files() const { return files_; }
  /// Looks whether a start has moved the old run aside, and returns whether the run's own folder is there.
  bool Look();
  /// Whether the old run is still in the folder: what the folder says is of that one.
  bool holds_old_run() const { return holds_old_run_; }
  /// The last step that is known of the run.
  uint64_t Progress() const { return holds_old_run_ ? 0 : files_.Progress(); }
  /// The step of the checkpoint that the next start goes on from.
  uint64_t NextStep() const;

 private:
  const records::RunFolderReader files_;
  const std::string first_attempt_;  // of the run that was in the folder at first; empty where none was
  bool holds_old_run_;
};

}  // namespace lockstep::launch

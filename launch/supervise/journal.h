// DIR/supervisor.jsonl: a row for every start that a supervisor made, and for its end. For people and `lockstep
// status`.
#pragma once

#include <string>

#include "base/json_fields.h"

namespace lockstep::launch {

/// Not thread-safe.
class Journal {
 public:
  explicit Journal(const std::string& folder) : path_(folder + "/supervisor.jsonl") {}

  /// The row waits: the folder may not be there yet, or be about to be moved aside.
  void Add(const Json& row) { waiting_ += DumpJson(row) + "\n"; }
  /// Appends what waits. Rows that can't be written wait on: nothing depends on them.
  void Write();

 private:
  std::string path_, waiting_;
};

}  // namespace lockstep::launch

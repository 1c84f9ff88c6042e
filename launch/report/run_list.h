// The runs that lie in one folder, in a line each, from their files alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_fields.h"

namespace lockstep::launch {

struct ListedRun {
  std::string name;          ///< of its folder
  std::string state;         ///< records::StateOfRun; "damaged" where there is no recipe that can be read
  uint64_t step = 0;         ///< the last that is known of
  uint64_t total_steps = 0;  ///< 0: unknown
  std::string last;          ///< "test accuracy 0.9941", of the last evaluation, else "loss 0.1234"
  double age = -1;           ///< seconds since it was last written to; < 0: unknown
  std::string problem;       ///< what is wrong with its files; empty: nothing
};

/// Every folder in `folder` that isn't hidden, those written to last first. `now`: seconds since 1970. Throws
/// Error(kUsage) where there is no such folder.
std::vector<ListedRun> ListRuns(const std::string& folder, double now);

/// Whether some of the folders in `folder` are runs.
bool HoldsRuns(const std::string& folder);

/// A table for people.
std::string FormatRuns(const std::vector<ListedRun>& runs);
/// The same for programs.
Json RunsJson(const std::vector<ListedRun>& runs);

}  // namespace lockstep::launch

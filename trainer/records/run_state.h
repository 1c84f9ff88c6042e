// Whether a run works, has ended or never began, told from its files alone.
#pragma once

#include <string>

#include "trainer/records/run_folder_reader.h"

namespace lockstep::records {

/// Whether `folder` holds a run, or one that waits to begin.
bool IsRunFolder(const std::string& folder);

/// At `now`, seconds since 1970: "running", "done", "stopped" (in time), "failed", "killed" (no words were left) or
/// "waiting" (nothing has begun).
std::string StateOfRun(const RunFolderReader& files, double now);

}  // namespace lockstep::records

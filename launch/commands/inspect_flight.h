// `lockstep inspect DIR/flight/attempt-2`: the flight records of a job's ranks, side by side.
#pragma once

#include <cstddef>
#include <string>

#include "base/files/file.h"

namespace lockstep::launch {

/// Whether `path` is a flight record (.pb), a folder of them, or a run's folder of such folders (then its newest
/// counts), which may still be missing.
bool IsFlightPath(FileSystem& files, const std::string& path);

/// Prints the last `last` collectives and what each rank did when it wrote its record. Returns 0, or 4 where some of
/// several records can't be read (they are named on standard error). Throws Error(kCheckpoint) where none can, and
/// Error(kUsage) where there is none.
int InspectFlight(FileSystem& files, const std::string& path, size_t last, bool json);

}  // namespace lockstep::launch

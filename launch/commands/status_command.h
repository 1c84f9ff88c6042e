// lockstep status: what a run is doing, from its files alone.
#pragma once

#include <string>

#include "base/json_fields.h"

namespace lockstep::launch {

/// Everything that is known of the run in `folder` at `now` (seconds since 1970): the object that --json prints. Throws
/// Error(kUsage) where it is no run's folder.
Json RunStatus(const std::string& folder, double now);

/// The same for a person.
std::string FormatStatus(const Json& status);

}  // namespace lockstep::launch

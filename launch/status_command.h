// lockstep status: what a run is doing, from its files alone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddStatusCommand(CLI::App& app, int* exit_code);

/// Everything that is known of the run in `folder` at `now` (seconds since 1970): the object that --json prints. Throws
/// Error(kUsage) where it is no run's folder.
nlohmann::json RunStatus(const std::string& folder, double now);

/// The same for a person.
std::string FormatStatus(const nlohmann::json& status);

}  // namespace lockstep::launch

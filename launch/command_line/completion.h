// Completion of commands, options and the recipe's fields in shells.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lockstep::launch {

/// Scripts that the shells load; they need no further call of the program.
std::string BashCompletion(const CLI::App& app);
std::string ZshCompletion(const CLI::App& app);
std::string FishCompletion(const CLI::App& app);

}  // namespace lockstep::launch

// `lockstep data pack`: folders of pictures into archives.
#pragma once

#include <CLI/CLI.hpp>

namespace lockstep::launch {

/// Adds the command to `lockstep data`.
void AddDataPackCommand(CLI::App& data, int* exit_code);

}  // namespace lockstep::launch

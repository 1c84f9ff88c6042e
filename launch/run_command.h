// lockstep run: ranks under a supervisor.
#pragma once

#include <CLI/CLI.hpp>

namespace lockstep::launch {

void AddRunCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

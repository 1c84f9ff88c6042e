// `lockstep inspect PATH`: what a run folder or checkpoint holds, for a person or (--json) for a program.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lockstep::launch {

struct InspectOptions {
  std::string path;  ///< a run folder or a checkpoint folder
  bool json = false;
};

/// Prints to standard output and returns 0. Throws Error(kCheckpoint).
int InspectCommand(const InspectOptions& options);

/// Registers the subcommand; its callback leaves the exit code in `exit_code`.
void AddInspectCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

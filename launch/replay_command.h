// `lockstep replay`: reruns steps of a run and compares them with its certificate (trainer/loop/replay.h). Runs ranks.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

/// Registers the subcommand; its callback leaves the exit code in `exit_code`.
void AddReplayCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

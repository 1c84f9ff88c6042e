// lockstep run: ranks under a supervisor.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddRunCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

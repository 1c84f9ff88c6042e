// lockstep submit: a Slurm job that saves and requeues itself.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddSubmitCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

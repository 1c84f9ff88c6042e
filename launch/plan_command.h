// lockstep plan: checks a recipe without MPI and prints what it will do.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddPlanCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

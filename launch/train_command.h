// lockstep train and lockstep eval: the commands that run ranks.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddTrainCommand(CLI::App& app, int* exit_code);
void AddEvalCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

// lockstep help [recipe [MESSAGE]]: the recipe's fields with their comments, from the schema that is compiled in.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

void AddHelpCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

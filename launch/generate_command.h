// `lockstep generate RUN --prompt TEXT`: what a language model writes on, token by token as it comes.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

/// Registers the subcommand; its callback leaves the exit code in `exit_code`.
void AddGenerateCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

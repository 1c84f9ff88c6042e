// `lockstep predict RUN INPUT...`: transcripts of audio files, translations of texts.
#pragma once

namespace CLI {
class App;
}

namespace lockstep::launch {

/// Registers the subcommand; its callback leaves the exit code in `exit_code`.
void AddPredictCommand(CLI::App& app, int* exit_code);

}  // namespace lockstep::launch

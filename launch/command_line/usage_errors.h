// What is wrong with a command line, in words that help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"

namespace lockstep::launch {

/// The Error(kUsage) for words that `app` doesn't take. `words` are those of the command line behind the program's
/// name. An option that does not exist comes with what may be meant: another option, or a field of the recipe
/// ("--epochs 5" is
/// "--set train.epochs=5"). REQUIRES: app.parse has just thrown `error` for these words.
Error ExplainUsage(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words);

/// The Error(kUsage) for a command that does not exist: of the program, or of `above` ("lockstep data").
Error NoCommand(const CLI::App& above, const std::string& above_name, const std::string& word);

}  // namespace lockstep::launch

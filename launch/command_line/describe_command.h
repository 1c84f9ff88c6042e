// The commands and their options as data, for what is made of them: completion, the manual page.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace lockstep::launch {

struct OptionDescription {
  std::vector<std::string> names;  ///< "-n", "--ranks"; of a positional argument its name alone: "RECIPE"
  std::string text;
  bool takes_value = false;
  std::vector<std::string> values;  ///< what it may be; empty: anything
  bool required = false;
};

struct CommandDescription {
  std::string name;  ///< "train", "data check"; empty of the program itself
  std::string text, footer;
  std::vector<OptionDescription> options, arguments;
};

/// The program and all its commands, each in front of those below it; without hidden ones.
std::vector<CommandDescription> DescribeCommands(const CLI::App& app);

}  // namespace lockstep::launch

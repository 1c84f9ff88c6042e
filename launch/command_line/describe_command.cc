#include "launch/command_line/describe_command.h"

#include <sstream>

namespace lockstep::launch {
namespace {

/// The words of option_checks.h's OneOf: CLI11 keeps them in the name of the type, "TEXT:{on,off}".
std::vector<std::string> ValuesOf(const std::string& type) {
  const size_t open = type.find('{'), close = type.rfind('}');
  std::vector<std::string> values;
  if (open == std::string::npos || close == std::string::npos) return values;
  std::istringstream words(type.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(words, word, ',');) values.push_back(word);
  return values;
}

OptionDescription Describe(const CLI::Option& option) {
  OptionDescription described;
  for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  if (described.names.empty()) described.names.push_back(option.get_name(true));
  described.text = option.get_description();
  described.takes_value = option.get_items_expected_max() > 0;
  described.values = ValuesOf(option.get_type_name());
  described.required = option.get_required();
  return described;
}

void Add(const CLI::App& app, const std::string& name, std::vector<CommandDescription>& all) {
  CommandDescription described{name, app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    const bool positional = option->get_snames().empty() && option->get_lnames().empty();
    (positional ? described.arguments : described.options).push_back(Describe(*option));
  }
  all.push_back(described);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) Add(*command, name + (name.empty() ? "" : " ") + command->get_name(), all);
}

}  // namespace

std::vector<CommandDescription> DescribeCommands(const CLI::App& app) {
  std::vector<CommandDescription> all;
  Add(app, "", all);
  return all;
}

}  // namespace lockstep::launch

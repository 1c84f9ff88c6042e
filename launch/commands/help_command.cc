// lockstep help [COMMAND | recipe [PART] | site]: commands, and the reference of what they read.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/command_line/manual_page.h"
#include "launch/command_line/schema_help.h"
#include "launch/command_line/usage_errors.h"

namespace lockstep::launch {
namespace {

struct HelpOptions {
  std::vector<std::string> words, search;
  bool all = false, manual = false;
};

std::string HelpRecipe(const HelpOptions& options) {
  const std::vector<std::string> rest(options.words.begin() + 1, options.words.end());
  if (!options.search.empty()) return SearchRecipe(options.search);
  if (options.all) return WholeRecipe();
  if (rest.empty()) return RecipeOverview();
  return rest.size() == 1 ? RecipePart(rest.front()) : SearchRecipe(rest);
}

std::string HelpCommand(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string name = app.get_name();
  for (const std::string& word : words) {
    const CLI::App* found = nullptr;
    for (const CLI::App* candidate : command->get_subcommands([](const CLI::App*) { return true; }))
      if (candidate->get_name() == word) found = candidate;
    if (found == nullptr) throw NoCommand(*command, name, word);
    command = found;
    name += " " + word;
  }
  // The formatter is asked because App::help would answer for the subcommand that is running, which is this one.
  return app.get_formatter()->make_help(command, name, CLI::AppFormatMode::Normal);
}

std::string Help(const CLI::App& app, const HelpOptions& options) {
  if (options.manual) return ManualPage(app);
  const std::string topic = options.words.empty() ? "" : options.words.front();
  if (topic == "recipe" || (topic.empty() && !options.search.empty())) {
    HelpOptions of_recipe = options;
    if (topic.empty()) of_recipe.words = {"recipe"};
    return HelpRecipe(of_recipe);
  }
  if (topic == "site") return options.words.size() == 1 ? WholeSite() : SitePart(options.words[1]);
  return HelpCommand(app, options.words);
}

}  // namespace

void AddHelpCommand(CLI::App& app, int* exit_code) {
  CLI::App* help = app.add_subcommand("help", "Explain a command, the fields of a recipe, or a site's defaults");
  auto options = std::make_shared<HelpOptions>();
  help->add_option("TOPIC", options->words,
                   "A command; recipe, and a part or a name in it, e.g. train, data.train or csv; or site");
  help->add_option("--search", options->search, "The recipe's fields that have these words in their names or comments");
  help->add_flag("--all", options->all, "With recipe: every field");
  help->add_flag("--man", options->manual, "The manual page, for man -l -");
  help->footer(
      "Examples:\n  lockstep help train\n  lockstep help recipe\n  lockstep help recipe optimizer\n"
      "  lockstep help recipe --search warmup");
  help->callback([&app, options, exit_code] {
    std::fputs(Help(app, *options).c_str(), stdout);
    *exit_code = 0;
  });
}

}  // namespace lockstep::launch

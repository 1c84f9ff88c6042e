// lockstep completion SHELL: the script that completes commands, options and fields there.
#include "launch/commands/commands.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "launch/command_line/completion.h"
#include "launch/command_line/option_checks.h"

namespace lockstep::launch {

void AddCompletionCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("completion", "Print what completes commands, options and fields in a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(OneOf({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n"
      "  lockstep completion bash > ~/.local/share/bash-completion/completions/lockstep\n"
      "  source <(lockstep completion zsh)\n"
      "  lockstep completion fish > ~/.config/fish/completions/lockstep.fish\n"
      "cmake --install puts them where the shells look.");
  command->callback([&app, shell, exit_code] {
    const std::string script = *shell == "bash"  ? BashCompletion(app)
                               : *shell == "zsh" ? ZshCompletion(app)
                                                 : FishCompletion(app);
    std::fputs(script.c_str(), stdout);
    *exit_code = 0;
  });
}

}  // namespace lockstep::launch

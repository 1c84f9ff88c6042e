// lockstep: one binary, one subcommand per file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/build_info.h"
#include "base/error.h"
#include "comm/communicator.h"
#include "launch/command_line/usage_errors.h"
#include "launch/commands/commands.h"
#include "launch/commands/errors.h"
#include "launch/commands/standard_streams.h"
#include "launch/job/ranks.h"

namespace lockstep {
namespace {

std::string VersionText() {
  return fmt::format("lockstep {}\nbuild {}\n{}", Version(), BuildHash(), BuildDescription());
}

void AddVersionCommand(CLI::App& app) {
  CLI::App* version = app.add_subcommand("version", "Print the version and the hash of sources, compiler and flags");
  version->footer("Example:\n  lockstep version");
  version->callback([] { std::printf("%s\n", VersionText().c_str()); });
}

/// In the order in which `lockstep help` lists them.
void AddCommands(CLI::App& app, int* exit_code) {
  launch::AddNewCommand(app, exit_code);
  launch::AddTrainCommand(app, exit_code);
  launch::AddRunCommand(app, exit_code);
  launch::AddSubmitCommand(app, exit_code);
  launch::AddStatusCommand(app, exit_code);
  launch::AddReportCommand(app, exit_code);
  launch::AddScaleCommand(app, exit_code);
  launch::AddProjectCommand(app, exit_code);
  launch::AddTuneCommand(app, exit_code);
  launch::AddProfileCommand(app, exit_code);
  launch::AddEvalCommand(app, exit_code);
  launch::AddGenerateCommand(app, exit_code);
  launch::AddPredictCommand(app, exit_code);
  launch::AddPlanCommand(app, exit_code);
  launch::AddDataCommand(app, exit_code);
  launch::AddInspectCommand(app, exit_code);
  launch::AddVerifyCommand(app, exit_code);
  launch::AddDiffCommand(app, exit_code);
  launch::AddReplayCommand(app, exit_code);
  launch::AddExportCommand(app, exit_code);
  launch::AddImportCommand(app, exit_code);
  launch::AddTokenizeCommand(app, exit_code);
  launch::AddTokenizerCommand(app, exit_code);
  launch::AddDoctorCommand(app, exit_code);
  launch::AddHelpCommand(app, exit_code);
  launch::AddCompletionCommand(app, exit_code);
  launch::AddMeasureLimitsCommand(app, exit_code);
  AddVersionCommand(app);
}

/// Parses the command line and runs what it asks for. Returns the exit code of a line that asks for nothing, else 0.
int RunCommand(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    // All ranks have the same command line: one of them says what is wrong with it.
    if (!launch::IsFirstProcess()) throw comm::PeerAborted(0, ExitCodeOf(ErrorKind::kUsage));
    throw launch::ExplainUsage(app, error, {argv + 1, argv + argc});
  }
  if (!app.get_subcommands().empty()) return 0;
  std::fputs(app.help().c_str(), stderr);
  return ExitCodeOf(ErrorKind::kUsage);
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::launch::PrepareStandardStreams();
  CLI::App app(
      "Lockstep trains neural networks on MPI clusters. The trained weights are a function of the recipe alone, bit "
      "for bit,\n"
      "whatever the number of ranks, however often the job was killed and resumed.",
      "lockstep");
  app.require_subcommand(0, 1);  // checked below: CLI11 would not say which word is no command
  app.set_help_all_flag("--help-all", "Help for all commands");
  app.set_version_flag("--version", lockstep::VersionText, "Print what the command version prints");
  int exit_code = 0;
  lockstep::AddCommands(app, &exit_code);
  const int failed = lockstep::launch::RunAlone([&] { return lockstep::RunCommand(app, argc, argv); });
  return failed != 0 ? failed : exit_code;
}

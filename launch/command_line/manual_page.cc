#include "launch/command_line/manual_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "base/build_info.h"
#include "launch/command_line/describe_command.h"

namespace lockstep::launch {
namespace {

/// `text` as troff prints it: hyphens are typed as they are, and no line is a request.
std::string Escaped(const std::string& text) {
  std::string escaped;
  bool begins_line = true;
  for (const char c : text) {
    if (begins_line && (c == '.' || c == '\'')) escaped += "\\&";
    if (c == '\\')
      escaped += "\\e";
    else if (c == '-')
      escaped += "\\-";
    else
      escaped += c;
    begins_line = c == '\n';
  }
  return escaped;
}

std::string Option(const OptionDescription& option) {
  std::string text = fmt::format(".TP\n\\fB{}\\fR", Escaped(fmt::format("{}", fmt::join(option.names, ", "))));
  if (option.takes_value && option.names.front().starts_with('-'))
    text += option.values.empty() ? " \\fIVALUE\\fR" : " " + Escaped(fmt::format("{}", fmt::join(option.values, "|")));
  return text + "\n" + Escaped(option.text) + "\n";
}

std::string Synopsis(const CommandDescription& command) {
  std::string text = fmt::format("\\fBlockstep {}\\fR", Escaped(command.name));
  if (!command.options.empty()) text += " [\\fIOPTIONS\\fR]";
  for (const OptionDescription& argument : command.arguments)
    text +=
        fmt::format(fmt::runtime(argument.required ? " \\fI{}\\fR" : " [\\fI{}\\fR]"), Escaped(argument.names.front()));
  return text;
}

std::string Command(const CommandDescription& command) {
  std::string text = fmt::format(".SS {}\n{}\n.PP\n{}\n", Synopsis(command), "", Escaped(command.text));
  for (const OptionDescription& argument : command.arguments) text += Option(argument);
  for (const OptionDescription& option : command.options)
    if (option.names.back() != "--help") text += Option(option);
  if (!command.footer.empty()) text += fmt::format(".PP\n.nf\n{}\n.fi\n", Escaped(command.footer));
  return text;
}

constexpr char kEnd[] = R"(.SH EXIT STATUS
.TP
0
done
.TP
1
a bug in Lockstep
.TP
2
bad usage: command line, recipe, a path or device that is not there, too little memory
.TP
3
bad or differing data
.TP
4
a checkpoint that can't be read or written
.TP
5
training diverged
.TP
6
a peer, the network or a disk failed
.TP
75
asked to stop, and saved: start again to go on
.SH ENVIRONMENT
.TP
LOCKSTEP_DATA
what $LOCKSTEP_DATA/ at the beginning of a recipe's paths stands for
.TP
LOCKSTEP_GRACE
as \-\-grace of train
.TP
NO_COLOR
where it is set and not empty, nothing is coloured
.SH FILES
.TP
runs/NAME
the run's folder, unless \-\-out names another: metrics, checkpoints, logs
.TP
~/.config/lockstep/site.textproto
a site's defaults for submit: lockstep help site
.SH SEE ALSO
mpirun(1), sbatch(1)
)";

}  // namespace

std::string ManualPage(const CLI::App& app) {
  const std::vector<CommandDescription> commands = DescribeCommands(app);
  std::string text = fmt::format(
      ".TH LOCKSTEP 1 \"\" \"Lockstep {}\" \"User Commands\"\n.SH NAME\nlockstep \\- train neural networks on MPI "
      "clusters, reproducibly\n.SH SYNOPSIS\n\\fBlockstep\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n"
      ".SH DESCRIPTION\n{}\n.SH OPTIONS\n",
      Version(), Escaped(commands.front().text));
  for (const OptionDescription& option : commands.front().options) text += Option(option);
  text += ".SH COMMANDS\n";
  for (size_t i = 1; i < commands.size(); ++i) text += Command(commands[i]);
  return text + kEnd;
}

}  // namespace lockstep::launch

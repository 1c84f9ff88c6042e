#include "launch/command_line/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "launch/command_line/describe_command.h"
#include "launch/recipe/recipe.pb.h"
#include "launch/recipe/recipe_fields.h"

namespace lockstep::launch {
namespace {

/// Paths that --set takes, without those of messages.
std::vector<std::string> Settable() {
  std::vector<std::string> paths;
  for (const FieldPath& path : AllFieldPaths(*Recipe::descriptor()))
    if (path.field->message_type() == nullptr && !path.in_list) paths.push_back(path.path);
  return paths;
}

/// Calls `visit(path, values)` for each of them that has few values.
void ForEachChoice(const std::function<void(const std::string&, const std::string&)>& visit) {
  for (const FieldPath& path : AllFieldPaths(*Recipe::descriptor())) {
    if (path.in_list) continue;
    if (path.field->enum_type() != nullptr)
      visit(path.path, fmt::format("{}", fmt::join(ValuesOf(*path.field->enum_type()), " ")));
    else if (path.field->type() == google::protobuf::FieldDescriptor::TYPE_BOOL)
      visit(path.path, "true false");
  }
}

/// What the shells' case statements choose by: `command) names="..." ;;`.
std::string OptionCases(const std::vector<CommandDescription>& commands) {
  std::string text;
  for (const CommandDescription& command : commands) {
    std::vector<std::string> names;
    for (const OptionDescription& option : command.options)
      names.insert(names.end(), option.names.begin(), option.names.end());
    text += fmt::format("    \"{}\") options=\"{}\" ;;\n", command.name, fmt::join(names, " "));
  }
  return text;
}

/// The commands below each: `"data") commands="check" ;;`.
std::string CommandCases(const std::vector<CommandDescription>& commands) {
  std::string text;
  for (const CommandDescription& above : commands) {
    std::vector<std::string> below;
    const std::string start = above.name.empty() ? "" : above.name + " ";
    for (const CommandDescription& command : commands)
      if (!command.name.empty() && command.name.starts_with(start) && command.name != above.name &&
          command.name.find(' ', start.size()) == std::string::npos)
        below.push_back(command.name.substr(start.size()));
    if (above.name == "help") {
      for (const CommandDescription& command : commands)
        if (!command.name.empty() && command.name.find(' ') == std::string::npos) below.push_back(command.name);
      below.insert(below.end(), {"recipe", "site"});
    }
    if (!below.empty()) text += fmt::format("    \"{}\") commands=\"{}\" ;;\n", above.name, fmt::join(below, " "));
  }
  return text;
}

/// The values of options that have few, and of arguments: `"train --progress") values="on off auto" ;;`.
std::string ValueCases(const std::vector<CommandDescription>& commands) {
  std::string text;
  for (const CommandDescription& command : commands) {
    for (const OptionDescription& option : command.options)
      for (const std::string& name : option.names)
        if (!option.values.empty())
          text += fmt::format("    \"{} {}\") values=\"{}\" ;;\n", command.name, name, fmt::join(option.values, " "));
    for (const OptionDescription& argument : command.arguments)
      if (!argument.values.empty())
        text += fmt::format("    \"{} \"*) values=\"{}\" ;;\n", command.name, fmt::join(argument.values, " "));
  }
  return text;
}

std::string ChoiceCases() {
  std::string text;
  ForEachChoice([&](const std::string& path, const std::string& values) {
    text += fmt::format("    {}) values=\"{}\" ;;\n", path, values);
  });
  return text;
}

/// `script` with the lists in the places of @COMMANDS@ and so on.
std::string Filled(std::string script, const std::vector<CommandDescription>& commands) {
  std::string names = "|";
  for (const CommandDescription& command : commands) names += command.name + "|";
  const std::pair<const char*, std::string> lists[] = {{"@ALL@", names},
                                                       {"@COMMANDS@\n", CommandCases(commands)},
                                                       {"@OPTIONS@\n", OptionCases(commands)},
                                                       {"@VALUES@\n", ValueCases(commands)},
                                                       {"@CHOICES@\n", ChoiceCases()},
                                                       {"@FIELDS@", fmt::format("{}", fmt::join(Settable(), " "))}};
  for (const auto& [mark, list] : lists)
    if (const size_t at = script.find(mark); at != std::string::npos)
      script.replace(at, std::string(mark).size(), list);
  return script;
}

constexpr char kBash[] =
    R"(# Completion of lockstep in bash: source it, or put it into share/bash-completion/completions/lockstep.
_lockstep() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} all="@ALL@" fields="@FIELDS@"
  local command="" word field="" commands="" options="" values=""
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ -n $word && $all == *"|${command:+$command }$word|"* ]] && command="${command:+$command }$word"
  done
  # bash takes "train.seed=2" for three words.
  if [[ $cur == "=" ]]; then
    field=$prev cur=""
  elif [[ $prev == "=" ]]; then
    field=${COMP_WORDS[COMP_CWORD-2]}
  fi
  if [[ -n $field ]]; then
    case "$field" in
@CHOICES@
    esac
    [[ -n $values ]] && COMPREPLY=($(compgen -W "$values" -- "$cur")) || COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
  if [[ $prev == --set ]]; then
    COMPREPLY=($(compgen -S = -W "$fields" -- "$cur"))
    compopt -o nospace 2>/dev/null
    return
  fi
  case "$command" in
@OPTIONS@
  esac
  case "$command" in
@COMMANDS@
  esac
  case "$command $prev" in
@VALUES@
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  elif [[ -n $values ]]; then
    COMPREPLY=($(compgen -W "$values" -- "$cur"))
  elif [[ -n $commands && $prev != -* ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  else
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -F _lockstep lockstep
)";

constexpr char kZsh[] = R"(#compdef lockstep
# Completion of lockstep in zsh: put it as _lockstep into a folder of $fpath.
_lockstep() {
  local all="@ALL@" fields="@FIELDS@"
  local command="" word commands="" options="" values="" prev=${words[CURRENT-1]}
  for word in "${(@)words[2,CURRENT-1]}"; do
    [[ -n $word && $all == *"|${command:+$command }$word|"* ]] && command="${command:+$command }$word"
  done
  if [[ $prev == --set ]]; then
    if [[ $PREFIX != *=* ]]; then
      compadd -S '=' -- ${=fields}
      return
    fi
    local field=${PREFIX%%=*}
    compset -P '*='
    case "$field" in
@CHOICES@
    esac
    if [[ -n $values ]]; then compadd -- ${=values}; else _files; fi
    return
  fi
  case "$command" in
@OPTIONS@
  esac
  case "$command" in
@COMMANDS@
  esac
  case "$command $prev" in
@VALUES@
  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- ${=options}
  elif [[ -n $values ]]; then
    compadd -- ${=values}
  elif [[ -n $commands && $prev != -* ]]; then
    compadd -- ${=commands}
  else
    _files
  fi
}
if [[ $funcstack[1] == _lockstep ]]; then _lockstep "$@"; else compdef _lockstep lockstep; fi
)";

/// Between single quotes.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + "'";
}

/// When `command`'s options are offered.
std::string FishCondition(const std::string& command) {
  if (command.empty()) return "__fish_use_subcommand";
  std::string condition;
  for (size_t begin = 0; begin < command.size();) {
    const size_t end = std::min(command.find(' ', begin), command.size());
    condition += (begin > 0 ? "; and " : "") + ("__fish_seen_subcommand_from " + command.substr(begin, end - begin));
    begin = end + 1;
  }
  return condition;
}

std::string FishOption(const std::string& command, const OptionDescription& option) {
  std::string line = "complete -c lockstep -n " + Quoted(FishCondition(command));
  for (const std::string& name : option.names) {
    const bool word = name.starts_with("--");
    line += (word ? " -l " : " -s ") + name.substr(word ? 2 : 1);
  }
  if (option.names.back() == "--set")
    line += " -x -a '(__lockstep_settings)'";
  else if (!option.values.empty())
    line += fmt::format(" -x -a {}", Quoted(fmt::format("{}", fmt::join(option.values, " "))));
  else if (option.takes_value)
    line += " -r";
  return line + " -d " + Quoted(option.text) + "\n";
}

}  // namespace

std::string BashCompletion(const CLI::App& app) { return Filled(kBash, DescribeCommands(app)); }
std::string ZshCompletion(const CLI::App& app) { return Filled(kZsh, DescribeCommands(app)); }

std::string FishCompletion(const CLI::App& app) {
  std::string text =
      "# Completion of lockstep in fish: put it as lockstep.fish into ~/.config/fish/completions.\n"
      "function __lockstep_settings\n";
  text += fmt::format("    string join \\n {}=\n", fmt::join(Settable(), "= "));
  ForEachChoice([&](const std::string& path, const std::string& values) {
    text += fmt::format("    string join \\n {0}={{{1}}}\n", path, values);
    std::replace(text.end() - static_cast<int64_t>(values.size()) - 2, text.end() - 2, ' ', ',');
  });
  text += "end\n";
  for (const CommandDescription& command : DescribeCommands(app)) {
    if (const size_t space = command.name.rfind(' '); space != std::string::npos)
      text += fmt::format("complete -c lockstep -n {} -f -a {} -d {}\n",
                          Quoted("__fish_seen_subcommand_from " + command.name.substr(0, space)),
                          command.name.substr(space + 1), Quoted(command.text));
    else if (!command.name.empty())
      text += fmt::format("complete -c lockstep -n '__fish_use_subcommand' -f -a {} -d {}\n", command.name,
                          Quoted(command.text));
    for (const OptionDescription& option : command.options) text += FishOption(command.name, option);
    for (const OptionDescription& argument : command.arguments)
      if (!argument.values.empty())
        text += fmt::format("complete -c lockstep -n {} -f -a {}\n", Quoted(FishCondition(command.name)),
                            Quoted(fmt::format("{}", fmt::join(argument.values, " "))));
  }
  return text;
}

}  // namespace lockstep::launch

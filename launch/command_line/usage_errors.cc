#include "launch/command_line/usage_errors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "launch/recipe/recipe.pb.h"
#include "launch/recipe/recipe_fields.h"
#include "launch/recipe/suggestions.h"

namespace lockstep::launch {
namespace {

/// Words of other programs' command lines, and what stands for them here. An option that a command hasn't is left out.
constexpr struct {
  const char *option, *others;
} kOtherOptions[] = {
    {"--out", " output out-dir output-dir outdir save-dir savedir run-dir logdir log-dir o workdir work-dir dir "},
    {"--ranks", " np nproc nprocs n-procs num-processes nproc-per-node nproc-per_node world-size num-ranks ntasks "},
    {"--hosts", " host nodelist nodes H w "},
    {"--hostfile", " machinefile machine-file hostlist "},
    {"--executors", " threads num-threads nthreads cpus cores omp-num-threads jobs j "},
    {"--fresh", " restart overwrite force from-scratch no-resume reset f "},
    {"--set", " override overrides config-override param opt-override "},
    {"--stop-after", " max-time time-limit timelimit timeout walltime "},
    {"--time", " t timelimit time-limit walltime "},
    {"--max-restarts", " retries max-retries restarts "},
    {"--nodes", " N num-nodes nnodes n-nodes "},
    {"--partition", " p queue "},
    {"--dry-run", " dryrun test-only "},
    {"--progress", " quiet verbose no-progress silent q v "},
};
/// Words that stand for no option here, and what is done instead. What is said of --set is left out elsewhere.
constexpr struct {
  const char *others, *instead;
} kInstead[] = {
    {" resume continue auto-resume resume-from-checkpoint restore ",
     "a run goes on from its newest checkpoint when it is started again in its folder"},
    {" n np nproc nprocs num-processes nproc-per-node world-size ranks ntasks ", "lockstep run -n N starts N ranks"},
    {" config config-file cfg recipe c ", "the recipe is a word of its own, without an option"},
};
constexpr struct {
  const char *command, *others;
} kOtherCommands[] = {
    {"train", " resume fit continue start restart finetune fine-tune pretrain "},
    {"run", " launch mpirun torchrun spawn exec distribute "},
    {"eval", " evaluate test validate validation "},
    {"generate", " sample complete chat write "},
    {"predict", " infer inference transcribe translate classify "},
    {"plan", " check dry-run summary validate-recipe estimate "},
    {"status", " ps list ls show info monitor top tail "},
    {"new", " init create draft recipe make-recipe quickstart "},
    {"report", " plot curve curves graph chart compare visualize tensorboard dashboard "},
    {"submit", " sbatch slurm queue qsub "},
    {"profile", " trace perf nsys timeline flamegraph profiler "},
    {"export", " convert save "},
    {"doctor", " diagnose env environment collect-env "},
    {"help", " man usage fields schema "},
    {"tokenize", " encode preprocess "},
};

bool HasOption(const CLI::App& command, const std::string& name) {
  return command.get_option_no_throw(name) != nullptr;
}

/// "--epochs=5" and "--epochs" without what is no part of the name.
std::string NameOf(const std::string& word) {
  const size_t begin = word.find_first_not_of('-');
  return begin == std::string::npos ? "" : word.substr(begin, word.find('=') - begin);
}

/// What the command line gives the option: what stands behind "=", or the next word. Empty where there is none.
std::string ValueOf(const std::string& word, const std::vector<std::string>& words) {
  if (const size_t equals = word.find('='); equals != std::string::npos) return word.substr(equals + 1);
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end() || found + 1 == words.end()) return "";
  const std::string& next = *(found + 1);
  const bool number = next.size() > 1 && next[0] == '-' && (std::isdigit(next[1]) != 0 || next[1] == '.');
  return next.starts_with('-') && !number ? "" : next;
}

std::vector<std::string> OptionNames(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

bool IsAmong(const char* words, std::string word) {
  std::replace(word.begin(), word.end(), '_', '-');
  return std::string(words).find(" " + word + " ") != std::string::npos;
}

std::string OtherOption(const CLI::App& command, const std::string& name) {
  for (const auto& row : kOtherOptions)
    if (IsAmong(row.others, name) && HasOption(command, row.option)) return DidYouMean(row.option);
  if (!HasOption(command, "--set")) return "";
  for (const auto& row : kInstead)
    if (IsAmong(row.others, name)) return row.instead;
  return "";
}

/// What the field is to be set to where an option `name` has `value`.
std::string SettingValue(const google::protobuf::FieldDescriptor& field, const std::string& name, std::string value) {
  if (field.type() == google::protobuf::FieldDescriptor::TYPE_BOOL && value.empty()) return "true";
  if (field.enum_type() != nullptr) {
    // "--device cuda" and "--bf16" both say what is wanted.
    const std::string meant = ValueMeantBy(value, ValuesOf(*field.enum_type()));
    value = meant.empty() ? ValueMeantBy(name, ValuesOf(*field.enum_type())) : meant;
  }
  return value.empty() ? "VALUE" : value;
}

/// "--set train.epochs=5" for "--epochs 5"; empty where no field has this name.
std::string AsSetting(const CLI::App& command, const std::string& word, const std::vector<std::string>& words,
                      bool surely) {
  if (!HasOption(command, "--set")) return "";
  std::string name = NameOf(word);
  // "--train.epochs=5", "--optimizer.lr 0.1": the path is known, or its last part.
  const std::string where = name.find('.') == std::string::npos ? "" : name.substr(0, name.rfind('.'));
  name.erase(0, where.empty() ? 0 : where.size() + 1);
  const std::vector<std::string> meant = surely && where.empty() ? FieldsNamed(name) : FieldsMeantBy(name, where);
  if (meant.empty()) return "";
  for (const FieldPath& path : AllFieldPaths(*Recipe::descriptor())) {
    if (path.path != meant.front()) continue;
    // --set reaches no field inside a list.
    if (path.field->is_repeated() && path.field->message_type() != nullptr) return "";
    if (path.field->message_type() != nullptr) return "--set " + path.path + ".FIELD=VALUE";
    return fmt::format("--set {}={}", path.path, SettingValue(*path.field, name, ValueOf(word, words)));
  }
  return "";
}

/// What somebody who writes this option wants, or nothing.
std::string Meant(const CLI::App& command, const std::string& word, const std::vector<std::string>& words) {
  if (const std::string sure = AsSetting(command, word, words, true); !sure.empty()) return "use " + sure;
  if (const std::string other = OtherOption(command, NameOf(word)); !other.empty()) return other;
  if (const std::string near = Nearest("--" + NameOf(word), OptionNames(command)); !near.empty())
    return DidYouMean(near);
  const std::string maybe = AsSetting(command, word, words, false);
  return maybe.empty() ? "" : "did you mean " + maybe + "?";
}

Error NoOptions(const CLI::App& command, const std::string& name, const std::vector<std::string>& unknown,
                const std::vector<std::string>& words) {
  std::vector<std::string> options, hints;
  for (const std::string& word : unknown) {
    const std::string option = word.substr(0, word.find('='));
    if (std::find(options.begin(), options.end(), option) != options.end()) continue;
    options.push_back(option);
    const std::string hint = Meant(command, word, words);
    if (!hint.empty()) hints.push_back(hint);
  }
  const bool one = options.size() == 1;
  std::string hint = fmt::format("{}", fmt::join(hints, "; "));
  hint += fmt::format("{}{} --help lists what there is", hint.empty() ? "" : hint.ends_with('?') ? " " : "; ", name);
  return Error(ErrorKind::kUsage,
               fmt::format("{} has no option{} {}", name, one ? "" : "s", fmt::join(options, " and no ")), "", hint);
}

Error TooManyWords(const CLI::App& command, const std::string& name, const std::string& word) {
  std::string hint = "see " + name + " --help";
  // "train.epochs=5", as Hydra takes it.
  static const std::regex kAssignment(R"([A-Za-z_]+(\.[A-Za-z_0-9]+)*=.*)");
  if (HasOption(command, "--set") && std::regex_match(word, kAssignment)) hint = "use --set " + word;
  return Error(ErrorKind::kUsage, fmt::format("{} takes no further word: \"{}\"", name, word), "", hint);
}

/// Options of other programs that CLI11 takes for a letter and its value: "-np 4".
std::vector<std::string> GluedOptions(const std::vector<std::string>& words) {
  static const std::regex kGlued("-[A-Za-z]{2,}");
  std::vector<std::string> found;
  for (const std::string& word : words) {
    if (word == "--") break;
    if (std::regex_match(word, kGlued)) found.push_back(word);
  }
  return found;
}

/// CLI11's words for the other mistakes, where they can be better.
std::string MessageOf(const CLI::ParseError& error, const CLI::App& command, const std::string& name) {
  const std::string message = error.what();
  if (message == "A subcommand is required") {
    std::vector<std::string> names;
    for (const CLI::App* below : command.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(below->get_name());
    return fmt::format("{} needs a command: {}", name, fmt::join(names, ", "));
  }
  static const std::regex kMissing(R"((\S+): \d+ required .* missing)");
  std::smatch found;
  if (std::regex_match(message, found, kMissing)) return fmt::format("{} needs a value", found[1].str());
  return message;
}

}  // namespace

Error NoCommand(const CLI::App& above, const std::string& above_name, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : above.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_group().empty()) names.push_back(command->get_name());
  std::string hint;
  for (const auto& row : kOtherCommands)
    if (above.get_parent() == nullptr && IsAmong(row.others, word)) hint = DidYouMean(row.command);
  if (hint.empty()) hint = DidYouMean(Nearest(word, names));
  const std::string extension = std::filesystem::path(word).extension().string();
  if (extension == ".textproto" || extension == ".pbtxt") hint = "use " + above_name + " train " + word;
  hint += (hint.empty() ? "" : hint.ends_with('?') ? " " : "; ") + above_name + " --help lists what there is";
  return Error(ErrorKind::kUsage, fmt::format("there is no command \"{}\"", word), "", hint);
}

Error ExplainUsage(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string name = app.get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  const std::vector<std::string> extras = command->remaining();
  std::vector<std::string> options;
  std::copy_if(extras.begin(), extras.end(), std::back_inserter(options),
               [](const std::string& word) { return word.size() > 1 && word[0] == '-' && word != "--"; });
  if (options.empty()) options = GluedOptions(words);
  if (!options.empty()) return NoOptions(*command, name, options, words);
  const bool has_commands = !command->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (!extras.empty() && has_commands) return NoCommand(*command, name, extras.front());
  if (!extras.empty()) return TooManyWords(*command, name, extras.front());
  return Error(ErrorKind::kUsage, MessageOf(error, *command, name), "", fmt::format("see {} --help", name));
}

}  // namespace lockstep::launch

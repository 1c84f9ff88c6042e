#include "launch/slurm/sbatch_script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string_view>
#include <utility>

#include "base/duration.h"
#include "base/error.h"
#include "launch/slurm/job_work.h"
#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// sbatch blanks out "hetjob" and "packjob", wherever they stand in a line.
bool IsBlankedOut(const std::string& word) {
  static const std::regex blanked("(het|pack)job", std::regex::icase);
  return std::regex_search(word, blanked);
}

/// A word as sbatch, which reads its lines without a shell, reads it back: white space and "#" need quotes, and a
/// backslash takes the meaning of what follows, inside of quotes too. Throws Error(kUsage) where a line can't hold it.
std::string SbatchWord(const std::string& word) {
  if (std::any_of(word.begin(), word.end(), IsControl))
    throw Error(ErrorKind::kUsage, "an sbatch option has a line break or another control character", word);
  const bool blanked = IsBlankedOut(word);
  if (!word.empty() && !blanked && word.find_first_of(" \"'\\#") == std::string::npos) return word;
  std::string quoted = "\"";
  for (const char c : word) {
    if (std::string_view("\"\\#").find(c) != std::string_view::npos || (blanked && (c == 'j' || c == 'J')))
      quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

/// A line as it is: of a site's file, or of words that SbatchWord has written.
std::string Directive(const std::string& line) {
  if (std::any_of(line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }))
    throw Error(ErrorKind::kUsage, "an sbatch option has a line break", line);
  return "#SBATCH " + line + "\n";
}

std::string Named(const char* option, const std::string& value) {
  return value.empty() ? "" : Directive(fmt::format("--{}={}", option, SbatchWord(value)));
}

/// Options of the command line, a line each: "-C", "haswell" is one of two words.
std::string OptionLines(const std::vector<std::string>& words) {
  std::string text, line;
  for (const std::string& word : words) {
    if (!line.empty() && word.starts_with('-')) text += Directive(std::exchange(line, ""));
    line += (line.empty() ? "" : " ") + SbatchWord(word);
  }
  return text + (line.empty() ? "" : Directive(line));
}

/// Where sbatch's own patterns can't name a file in the folder: a backslash turns all of them off, and is itself lost.
bool PatternsFail(const std::string& folder) {
  return folder.find('\\') != std::string::npos || std::any_of(folder.begin(), folder.end(), IsControl);
}

/// The file that the job's output goes to, as sbatch's pattern: "%" stands for itself when doubled.
std::string OutputPattern(const JobScript& job) {
  if (PatternsFail(ScriptFolder(job))) return "/dev/null";  // the script says where
  std::string path;
  for (const char c : ScriptFolder(job)) path += c == '%' ? std::string("%%") : std::string(1, c);
  return path + "/logs/slurm-" + (job.array ? "%A_%a" : "%j") + ".out";
}

std::string OpenOutput(const JobScript& job) {
  if (!PatternsFail(ScriptFolder(job))) return "";
  return "exec >>" + ShellWord(ScriptFolder(job) + "/logs/slurm-") +
         (job.array ? R"("${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID".out 2>&1)" : R"("$SLURM_JOB_ID".out 2>&1)") +
         "\n";
}

std::string Directives(const JobScript& job) {
  const Site& site = job.site;
  std::string name = job.name;
  std::replace_if(name.begin(), name.end(), IsControl, '_');
  std::string text = Named("job-name", name);
  text += Directive(fmt::format("--nodes={}", job.nodes));
  text += Directive(fmt::format("--ntasks-per-node={}", job.ranks_per_node));
  if (job.cpus_per_rank > 0) text += Directive(fmt::format("--cpus-per-task={}", job.cpus_per_rank));
  if (job.gpus_per_node > 0) text += Directive(fmt::format("--gpus-per-node={}", job.gpus_per_node));
  text += Named("time", SlurmTime(job.seconds));
  text += Named("partition", job.partition.empty() ? site.partition() : job.partition);
  text += Named("account", site.account()) + Named("qos", site.qos()) + Named("constraint", site.constraint());
  text += Named("output", OutputPattern(job));
  text += Directive("--open-mode=append");
  text += job.chain
              ? "# Preempted, or off a node that failed: Slurm ends this job, and the next one of the chain goes on.\n"
              : "# Preempted, or off a node that failed: Slurm starts the job again by itself.\n";
  text += Directive(job.chain ? "--no-requeue" : "--requeue");
  text += fmt::format("# This script hears of the time limit {} s before.\n", site.grace_seconds());
  text += Directive(fmt::format("--signal=B:USR1@{}", site.grace_seconds()));
  for (const std::string& option : site.sbatch()) text += Directive(option);
  return text + OptionLines(job.sbatch);
}

// In a function, or a file that is read in, a command may fail without harm: modules and conda have many.
constexpr char kSetUpBegin[] = R"sh(
# The site's set-up: a line that fails ends the job.
trap 'code=$?; [ ${#BASH_SOURCE[@]} -gt 1 ] || { echo "lockstep: error: the site'"'"'s setup: $BASH_COMMAND ended with $code" >&2; exit 2; }' ERR
)sh";

constexpr char kSetUpEnd[] = "trap - ERR\n";

std::string SetUp(const JobScript& job) {
  std::string text = "cd " + ShellWord(job.directory) + " || exit 2\n";
  if (job.site.setup().empty()) return text;
  text += kSetUpBegin;
  for (const std::string& line : job.site.setup()) text += line + "\n";
  return text + kSetUpEnd;
}

/// What each job of the array has of its own.
std::string Varied(const JobScript& job) {
  if (job.varied.empty()) return "";
  std::string text = "\ncase $SLURM_ARRAY_TASK_ID in\n";
  for (size_t i = 0; i < job.varied.size(); ++i) {
    text += fmt::format("{}) varied=(", i);
    for (const std::string& setting : job.varied[i]) text += "--set " + ShellWord(setting) + " ";
    text.back() = ')';
    text += " ;;\n";
  }
  return text +
         "*) echo \"lockstep: error: job $SLURM_ARRAY_TASK_ID of the array has no values\" >&2; exit 2 ;;\nesac\n";
}

// The chain's jobs run one after the other whatever became of those before: the first that has nothing more to do says
// so in a file.
constexpr char kChainBegin[] = R"sh(
# One of a chain of jobs: nothing is left to do where one before has ended for good.
[ ! -e "$run/job.ended" ] || { echo "lockstep: the chain has ended before, with $(cat "$run/job.ended")"; exit 0; }
)sh";

constexpr char kSignals[] = R"sh(
# Asked to stop (time limit, preemption, scancel): the ranks save, and what this script has started ends with 75.
child= asked=
stop() {
  asked=1
  [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null
}
trap stop USR1 USR2 TERM INT
)sh";

// Of a login shell, where `module` is: its profile may set PATH anew.
constexpr char kPath[] = R"sh(
# What the job was submitted with goes before what a login shell's profile has put there.
path=$(tr '\0' '\n' 2>/dev/null </proc/$$/environ | sed -n 's/^PATH=//p')
[ -z "$path" ] || PATH=$path:$PATH
)sh";

constexpr char kBefore[] = "before=$(progress)\n";

constexpr char kWait[] = R"sh(child=$!
# One that came before: not at once, since a shell that is about to become another program loses signals.
[ -z "$asked" ] || { sleep 1; stop; }
# A signal ends wait, not what it waits for.
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
)sh";

/// Exit codes of kinds of error that would only happen again, as a shell pattern: "2 | 3 | 4 | 5".
std::string FinalCodes() {
  std::set<int> codes;
  for (const ErrorKindInfo& info : ErrorKinds())
    if (!info.may_pass) codes.insert(info.exit_code);
  return fmt::format("{}", fmt::join(codes, " | "));
}

constexpr char kDecide[] = R"sh(
# Anything else may be the fault of these nodes: again, unless three jobs in a row gained nothing.
if [ "$(progress)" = "$before" ]; then
  echo "$SLURM_JOB_ID" >>"$run/job.without-progress"
  [ "$(wc -l <"$run/job.without-progress")" -lt 3 ] || finish "$code"
else
  rm -f "$run/job.without-progress"
fi
again
)sh";

constexpr char kRequeue[] = R"sh(
finish() {
  rm -f "$run/job.without-progress"
  exit "$1"
}
again() {
  # Cancelled or preempted, the job is ending already, and Slurm knows what comes next.
  [ "$(squeue -h -o %T -j "$SLURM_JOB_ID")" = RUNNING ] || exit 75
  echo "lockstep: requeued"
  scontrol requeue "$SLURM_JOB_ID" || exit 75
  sleep 60 # Slurm ends this script
  exit 75
}
)sh";

constexpr char kChain[] = R"sh(
finish() {
  echo "$1" >"$run/job.ended"
  exit "$1"
}
again() { exit 75; } # the next job of the chain goes on
)sh";

}  // namespace

bool MakesArray(const std::vector<std::string>& sbatch) {
  return std::any_of(sbatch.begin(), sbatch.end(), [](const std::string& option) {
    return option.starts_with("--array") || option.starts_with("-a");
  });
}

std::string ScriptFolder(const JobScript& job) { return job.array ? WithArrayNumber(job.folder, "array") : job.folder; }

std::string FormatScript(const JobScript& job) {
  std::string text = "#!/bin/bash -l\n# Written by " + WriterOf(job.work) + ". Submit it again with: sbatch FILE\n";
  text += Directives(job);
  text += kSignals;  // at once: a signal during the setup would end the script
  text += "\nrun=" + ScriptWord(job.folder, job.array) + "\nmkdir -p \"$run/logs\"\n";
  text += OpenOutput(job) + kPath;
  text += SetUp(job);
  if (job.chain) text += kChainBegin;
  text += job.chain ? kChain : kRequeue;
  text += "\n" + ProgressFunction(job.work) + kBefore;
  text += "\n# srun does not hand on the cores of a task by itself.\n";
  text += "[ -z \"${SLURM_CPUS_PER_TASK:-}\" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK\n";
  if (job.work == JobWork::kRun) text += fmt::format("ranks=$((SLURM_JOB_NUM_NODES * {}))\n", job.ranks_per_node);
  text += Varied(job);
  text += "[ -z \"$asked\" ] || again\n" + WorkCommand(job) + " &\n" + kWait + SayEnd(job.work);
  // lockstep has decided by the kind of error; its exit code says the same (base/error.h).
  text += "case $code in\n0) finish 0 ;;\n";
  // A run that is stopped saves a step. Of studies and sweeps what is under way may be lost: such jobs have to gain.
  if (job.work == JobWork::kRun) text += fmt::format("{}) again ;;\n", ExitCodeOf(ErrorKind::kPreempted));
  text += FinalCodes() + ") finish \"$code\" ;; # would happen again\nesac";
  text += kDecide;
  return text;
}

}  // namespace lockstep::launch

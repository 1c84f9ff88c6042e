#include "launch/slurm/sbatch_script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "base/duration.h"
#include "base/error.h"
#include "launch/supervise/child_process.h"

namespace lockstep::launch {
namespace {

std::string Directive(const std::string& option) {
  if (option.find('\n') != std::string::npos)
    throw Error(ErrorKind::kUsage, "an sbatch option has a line break", option);
  return "#SBATCH " + option + "\n";
}

std::string Named(const char* option, const std::string& value) {
  return value.empty() ? "" : Directive(fmt::format("--{}={}", option, value));
}

/// sbatch reads its lines itself, without a shell: a space in a value needs quotes.
std::string Quoted(const std::string& path) { return path.find(' ') == std::string::npos ? path : "\"" + path + "\""; }

std::string Directives(const JobScript& job) {
  const Site& site = job.site;
  std::string text = Named("job-name", job.name);
  text += Directive(fmt::format("--nodes={}", job.nodes));
  text += Directive(fmt::format("--ntasks-per-node={}", job.ranks_per_node));
  if (job.cpus_per_rank > 0) text += Directive(fmt::format("--cpus-per-task={}", job.cpus_per_rank));
  if (job.gpus_per_node > 0) text += Directive(fmt::format("--gpus-per-node={}", job.gpus_per_node));
  text += Named("time", SlurmTime(job.seconds));
  text += Named("partition", job.partition.empty() ? site.partition() : job.partition);
  text += Named("account", site.account()) + Named("qos", site.qos()) + Named("constraint", site.constraint());
  const std::string array = job.folder.find("%a") == std::string::npos ? "%j" : "%A_%a";
  text += Named("output", Quoted(ScriptFolder(job) + "/logs/slurm-" + array + ".out"));
  text += Directive("--open-mode=append");
  text += job.chain
              ? "# Preempted, or off a node that failed: Slurm ends this job, and the next one of the chain goes on.\n"
              : "# Preempted, or off a node that failed: Slurm starts the job again by itself.\n";
  text += Directive(job.chain ? "--no-requeue" : "--requeue");
  text += fmt::format("# This script hears of the time limit {} s before.\n", site.grace_seconds());
  text += Directive(fmt::format("--signal=B:USR1@{}", site.grace_seconds()));
  for (const std::string& option : site.sbatch()) text += Directive(option);
  for (const std::string& option : job.sbatch) text += Directive(option);
  return text;
}

std::string SetUp(const JobScript& job) {
  std::string text = "cd " + ShellWord(job.directory) + " || exit 2\n";
  for (const std::string& line : job.site.setup()) text += line + "\n";
  return text;
}

std::string RunCommand(const JobScript& job) {
  std::vector<std::string> words;
  for (const std::string& word : job.train) words.push_back(ScriptWord(word));
  return fmt::format("{} run -n \"$ranks\" --launcher {} {} --grace {}s", ShellWord(job.program),
                     job.site.launcher() == JobLauncher::MPIRUN ? "mpirun" : "srun", fmt::join(words, " "),
                     job.site.grace_seconds());
}

// The chain's jobs run one after the other whatever became of those before: the first that has nothing more to do says
// so in a file.
constexpr char kChainBegin[] = R"sh(
# One of a chain of jobs: nothing is left to do where one before has ended for good.
[ ! -e "$run/job.ended" ] || { echo "lockstep: the chain has ended before, with $(cat "$run/job.ended")"; exit 0; }
)sh";

constexpr char kSignals[] = R"sh(
# Asked to stop (time limit, preemption, scancel): the ranks save, and lockstep run ends with 75.
child= asked=
stop() {
  asked=1
  [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null
}
trap stop USR1 USR2 TERM INT
)sh";

constexpr char kStep[] = R"sh(
newest_step() { ls -d "$run"/checkpoints/step-*/manifest.pb 2>/dev/null | sed 's|.*/step-0*\([0-9]*\)/.*|\1|' | sort -n | tail -n 1; }
step_before=$(newest_step)
)sh";

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

constexpr char kSayEnd[] = R"sh(
# How the ranks' last attempt saw it, if they could still say so.
verdict=$(sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p; s/.*"kind": *"\([^"]*\)".*/\1/p' "$run/verdict.json" 2>/dev/null | paste -sd ' ')
echo "lockstep: ended with $code (verdict ${verdict:-none}), newest checkpoint: step $(newest_step)"
)sh";

constexpr char kDecide[] = R"sh(
# Anything else may be the fault of these nodes: again, unless three jobs in a row gained no step.
if [ "$(newest_step)" = "$step_before" ]; then
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

std::string ScriptWord(const std::string& word) {
  std::string text;
  size_t at = 0;
  for (size_t found; (found = word.find("%a", at)) != std::string::npos; at = found + 2) {
    if (found > at) text += ShellWord(word.substr(at, found - at));
    text += "\"$SLURM_ARRAY_TASK_ID\"";
  }
  if (at < word.size() || word.empty()) text += ShellWord(word.substr(at));
  return text;
}

std::string WithArrayNumber(std::string text, const std::string& number) {
  for (size_t at; (at = text.find("%a")) != std::string::npos;) text.replace(at, 2, number);
  return text;
}

std::string ScriptFolder(const JobScript& job) { return WithArrayNumber(job.folder, "array"); }

std::string FormatScript(const JobScript& job) {
  std::string text = "#!/bin/bash\n# Written by lockstep submit. Submit it again with: sbatch FILE\n";
  text += Directives(job);
  text += kSignals;  // at once: a signal during the setup would end the script
  text += "\nrun=" + ScriptWord(job.folder) + "\nmkdir -p \"$run/logs\"\n";
  text += SetUp(job);
  if (job.chain) text += kChainBegin;
  text += job.chain ? kChain : kRequeue;
  text += kStep;
  text += "\n# srun does not hand on the cores of a task by itself.\n";
  text += "[ -z \"${SLURM_CPUS_PER_TASK:-}\" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK\n";
  text += fmt::format("ranks=$((SLURM_JOB_NUM_NODES * {}))\n", job.ranks_per_node);
  text += "[ -z \"$asked\" ] || again\n" + RunCommand(job) + " &\n" + kWait + kSayEnd;
  // lockstep run has decided by the kind of error; its exit code says the same (base/error.h).
  text += fmt::format("case $code in\n0) finish 0 ;;\n{}) again ;;\n{}) finish \"$code\" ;; # would happen again\nesac",
                      ExitCodeOf(ErrorKind::kPreempted), FinalCodes());
  text += kDecide;
  return text;
}

}  // namespace lockstep::launch

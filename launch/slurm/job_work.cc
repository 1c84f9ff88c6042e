#include "launch/slurm/job_work.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {
namespace {

constexpr char kStepOfRun[] =
    R"sh(progress() { ls -d "$run"/checkpoints/step-*/manifest.pb 2>/dev/null | sed 's|.*/step-0*\([0-9]*\)/.*|\1|' | sort -n | tail -n 1; }
)sh";

// A study that has been begun is further than none.
constexpr char kRunsOfStudy[] =
    R"sh(progress() { ls "$run/study.json" 2>/dev/null | wc -l; cat "$run/runs.jsonl" 2>/dev/null | wc -l; }
)sh";

constexpr char kTrialsOfSweep[] =
    R"sh(progress() { grep -oE '"state":"(done|stopped|failed)"' "$run/trials.jsonl" 2>/dev/null | wc -l; ls -d "$run"/trials/*/checkpoints/step-*/manifest.pb 2>/dev/null; }
)sh";

constexpr char kEndOfRun[] = R"sh(
# How the ranks' last attempt saw it, if they could still say so.
verdict=$(sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p; s/.*"kind": *"\([^"]*\)".*/\1/p' "$run/verdict.json" 2>/dev/null | paste -sd ' ')
echo "lockstep: ended with $code (verdict ${verdict:-none}), newest checkpoint: step $(progress)"
)sh";

constexpr char kEndOfStudy[] = R"sh(
echo "lockstep: ended with $code, $(cat "$run/runs.jsonl" 2>/dev/null | wc -l) runs of the study are measured"
)sh";

constexpr char kEndOfSweep[] = R"sh(
echo "lockstep: ended with $code, $(progress | head -n 1) trials are over"
)sh";

}  // namespace

std::string WriterOf(JobWork work) {
  switch (work) {
    case JobWork::kRun:
      return "lockstep submit";
    case JobWork::kStudy:
      return "lockstep scale --slurm";
    case JobWork::kSweep:
      return "lockstep tune --slurm";
  }
  return "";
}

std::string LauncherIn(const JobScript& job) { return job.site.launcher() == JobLauncher::MPIRUN ? "mpirun" : "srun"; }

std::string WorkCommand(const JobScript& job) {
  std::vector<std::string> words;
  for (const std::string& word : job.words) words.push_back(ScriptWord(word, job.array));
  if (!job.varied.empty()) words.emplace_back("\"${varied[@]}\"");
  const std::string program = ShellWord(job.program);
  if (job.work == JobWork::kRun)
    return fmt::format("{} run -n \"$ranks\" --launcher {} {} --grace {}s", program, LauncherIn(job),
                       fmt::join(words, " "), job.site.grace_seconds());
  return fmt::format("{} {} --launcher {}", program, fmt::join(words, " "), LauncherIn(job));
}

std::string ProgressFunction(JobWork work) {
  return work == JobWork::kRun ? kStepOfRun : work == JobWork::kStudy ? kRunsOfStudy : kTrialsOfSweep;
}

std::string SayEnd(JobWork work) {
  return work == JobWork::kRun ? kEndOfRun : work == JobWork::kStudy ? kEndOfStudy : kEndOfSweep;
}

}  // namespace lockstep::launch

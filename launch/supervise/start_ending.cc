#include "launch/supervise/start_ending.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <utility>

#include "base/machine/cgroup.h"
#include "base/machine/host.h"
#include "launch/supervise/start_command.h"

namespace lockstep::launch {

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

namespace {

/// The launcher's code and the signal that ended it. Where it was killed because it lived on, what it would have said.
void SetLauncherFacts(StartFacts& facts, const StartedBy& launcher, LauncherEnd end) {
  if (end == LauncherEnd::kByItself) {
    facts.code = ShellsCode(launcher.version, *launcher.process.Poll());
    facts.launcher_signal = launcher.process.ending_signal();
  } else {
    facts.code = end == LauncherEnd::kAfterEnd && facts.ending ? facts.ending->exit_code : kPeerCode;
  }
}

}  // namespace

BeforeStart LookBeforeStart(const records::RunFolderReader& files) {
  return {std::chrono::steady_clock::now(), SecondsNow(), files.ReadEnding(), files.LastAttempt(), ReadOomKills()};
}

std::optional<records::AttemptEnding> EndingSince(const BeforeStart& before, const records::RunFolderReader& files) {
  const std::optional<records::AttemptEnding> written = files.ReadEnding();
  // Where another job has taken the run over meanwhile, the verdict may be on an attempt of that one.
  const bool is_own = written && written->attempt <= before.attempt + 1;
  return is_own && (!before.ending || before.ending->text != written->text) ? written : std::nullopt;
}

bool StartEnding::IsExplained() const {
  return error_seen || facts.events.rank || facts.launcher_signal != 0 || !facts.lost_host.empty() || facts.ending;
}

StartEnding GatherStartEnding(const BeforeStart& before, const StartedBy& launcher, const LauncherOutput& output,
                              const StopRequests& requests, const records::RunFolderReader& files, LauncherEnd end) {
  StartEnding ending;
  ending.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before.begun).count();
  ending.error_seen = output.error_seen();
  ending.launcher_text = output.launcher_text();

  StartFacts& facts = ending.facts;
  facts.ending = EndingSince(before, files);
  SetLauncherFacts(facts, launcher, end);
  facts.launcher = launcher.name;
  facts.this_host = HostName();
  facts.events = ReadLauncherText(ending.launcher_text);
  // Without a launcher the child is the rank.
  if (launcher.name == NameOf(Launcher::kNone))
    facts.events = {.rank = 0, .host = facts.this_host, .signal = std::exchange(facts.launcher_signal, 0)};
  facts.joined = output.joined() || output.error_seen() || files.LastAttempt() != before.attempt;
  if (end == LauncherEnd::kNeverStarted) facts.waited = ending.seconds;
  // srun has been seen to end with 0 when a node could not start its step.
  facts.not_done = facts.code == 0 && !std::filesystem::exists(files.folder() + "/done.json");
  if (facts.not_done) facts.code = kPeerCode;
  const bool killed = facts.code == 128 + SIGKILL || facts.events.signal == SIGKILL;
  facts.out_of_memory = facts.events.out_of_memory || (killed && ReadOomKills() > before.oom_kills);

  StartOutcome& outcome = ending.outcome;
  outcome.launcher_code = facts.code;
  outcome.verdict = facts.ending;
  outcome.stop_asked = requests.asked();
  outcome.interrupted = requests.interrupted();
  outcome.out_of_memory = facts.code != 0 && facts.out_of_memory;
  outcome.progress = files.Progress();
  return ending;
}

StartCost CostOf(const StartEnding& ending, const StartCause& cause, int nodes, const BeforeStart& before,
                 const records::RunFolderReader& files) {
  StartCost cost;
  cost.nodes = nodes;
  cost.seconds = ending.seconds;
  if (ending.facts.code == kDone || ending.facts.code == kPreempted) return cost;
  cost.cause = cause.name;
  cost.host = cause.host;
  cost.lost_seconds = cost.seconds;
  if (const auto newest = files.FindNewestCheckpoint(); newest && newest->written >= before.time)
    cost.lost_seconds = std::clamp(before.time + ending.seconds - newest->written, 0.0, ending.seconds);
  return cost;
}

}  // namespace lockstep::launch

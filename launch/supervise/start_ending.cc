#include "launch/supervise/start_ending.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "base/cgroup.h"
#include "base/threads.h"

namespace lockstep::launch {

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

BeforeStart LookBefore(const records::RunFolderReader& files) {
  return {std::chrono::steady_clock::now(), SecondsNow(), files.ReadEnding(), ReadOomKills()};
}

bool EndedStart::IsExplained() const {
  return error_seen || facts.events.rank || facts.launcher_signal != 0 || !facts.lost_host.empty() || facts.ending;
}

EndedStart Gather(const BeforeStart& before, const std::string& launcher_name, ChildProcess& launcher,
                  const LauncherOutput& output, const StopRequests& requests, const records::RunFolderReader& files,
                  bool overdue) {
  EndedStart ended;
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before.begun).count();
  ended.error_seen = output.error_seen();
  ended.launcher_text = output.launcher_text();

  StartFacts& facts = ended.facts;
  facts.code = overdue ? kPeerCode : *launcher.Poll();
  facts.launcher_signal = overdue ? 0 : launcher.ending_signal();
  facts.launcher = launcher_name;
  facts.this_host = HostName();
  facts.events = ReadLauncherText(ended.launcher_text);
  // srun has been seen to end with 0 when a node could not start its step.
  facts.not_done = facts.code == 0 && !std::filesystem::exists(files.folder() + "/done.json");
  if (facts.not_done) facts.code = kPeerCode;
  const std::optional<records::AttemptEnding> ending = files.ReadEnding();
  if (ending && (!before.ending || before.ending->text != ending->text)) facts.ending = ending;
  const bool killed = facts.code == 128 + SIGKILL || facts.events.signal == SIGKILL;
  facts.out_of_memory = facts.events.out_of_memory || (killed && ReadOomKills() > before.oom_kills);

  StartEnd& end = ended.end;
  end.launcher_code = facts.code;
  if (facts.ending) end.verdict_code = facts.ending->exit_code;
  end.stop_asked = requests.asked();
  end.interrupted = requests.interrupted();
  end.out_of_memory = facts.code != 0 && facts.out_of_memory;
  end.progress = files.Progress();
  return ended;
}

StartCost CostOf(const EndedStart& ended, const Cause& cause, int nodes, const BeforeStart& before,
                 const records::RunFolderReader& files) {
  StartCost cost;
  cost.nodes = nodes;
  cost.seconds = ended.seconds;
  if (ended.facts.code == kDone || ended.facts.code == kPreempted) return cost;
  cost.cause = cause.name;
  cost.host = cause.host;
  cost.lost_seconds = cost.seconds;
  if (const auto newest = files.FindNewestCheckpoint(); newest && newest->written >= before.time)
    cost.lost_seconds = std::clamp(before.time + ended.seconds - newest->written, 0.0, ended.seconds);
  return cost;
}

}  // namespace lockstep::launch

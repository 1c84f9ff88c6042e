// What is known when one start of a supervised job has ended: how, why, and what it has cost.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "launch/supervise/goodput.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/mpirun.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/restart_policy.h"
#include "launch/supervise/start_cause.h"
#include "launch/supervise/stop_requests.h"
#include "launch/supervise/watch_launcher.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

/// How things were before a start, to tell afterwards what is its own doing.
struct BeforeStart {
  std::chrono::steady_clock::time_point begun;
  double time = 0;  ///< the same in seconds since 1970, as files' times are
  std::optional<records::AttemptEnding> ending;
  uint32_t attempt = 0;  ///< the last that had begun
  uint64_t oom_kills = 0;
};

BeforeStart LookBeforeStart(const records::RunFolderReader& files);

/// How the start's ranks have ended, as far as they have written it.
std::optional<records::AttemptEnding> EndingSince(const BeforeStart& before, const records::RunFolderReader& files);

/// Seconds since 1970.
double SecondsNow();

struct StartEnding {
  StartOutcome outcome;       ///< for the decision what comes next
  StartFacts facts;           ///< for the words why it ended
  double seconds = 0;         ///< from its start to its end
  bool error_seen = false;    ///< a rank has said "lockstep: error:"
  std::string launcher_text;  ///< what the launcher said of its own

  /// Whether anybody has said why it ended; else the launcher's text is the only trace.
  bool IsExplained() const;
};

/// What started ranks.
struct StartedBy {
  std::string name;       ///< "mpirun", "srun"
  MpirunVersion version;  ///< where it is mpirun
  ChildProcess& process;
};

/// Gathers what is known of the start that `launcher` made. Where `end` says that it was killed because it lived on,
/// the start counts as ended by a rank, or as never begun, not as ended by the signal. REQUIRES: its process has ended.
StartEnding GatherStartEnding(const BeforeStart& before, const StartedBy& launcher, const LauncherOutput& output,
                              const StopRequests& requests, const records::RunFolderReader& files,
                              LauncherEnd end = LauncherEnd::kByItself);

/// A failure loses what was not durable when it came; an end that was wanted loses nothing.
StartCost CostOf(const StartEnding& ending, const StartCause& cause, int nodes, const BeforeStart& before,
                 const records::RunFolderReader& files);

}  // namespace lockstep::launch

// Waits for the end of mpirun or srun, as a person would want it watched: what ranks say is shown at once, requests to
// stop are passed on, and a second Ctrl-C ends it without saving.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/stop_requests.h"

namespace lockstep::launch {

/// How a launcher came to its end.
enum class LauncherEnd {
  kByItself,
  kAfterError,    ///< it lived on when a rank had failed, and was killed
  kAfterEnd,      ///< it lived on when its ranks had come to their end, and was killed
  kNeverStarted,  ///< its ranks did not join, and it was killed
};

struct WatchLimits {
  /// What a launcher gets when a rank has said why it ended, or mpirun that it has lost a host or a rank that had
  /// hardly started: mpirun tells all hosts to end their ranks, and waits, deaf to signals, for each that it can't
  /// reach any more.
  std::optional<std::chrono::milliseconds> after_error = std::nullopt;
  /// What it gets when ranks have written how they ended: mpirun was seen to wait for a lock of its own for ever.
  std::optional<std::chrono::milliseconds> after_end = std::nullopt;
  /// What it gets until its ranks have joined; twice as much where a rank's process has been seen.
  std::optional<std::chrono::milliseconds> until_joined = std::nullopt;
  /// The same where it complains (SaysTrouble), and nothing is known of a rank.
  std::optional<std::chrono::milliseconds> after_trouble = std::nullopt;
};

/// What the caller sees of a launcher's ranks, beside what they say.
struct WatchEyes {
  /// Called twice a second, at least, for what tells nobody that it changed, and once at the end.
  std::function<void()> look = [] {};
  /// Whether a process of a rank has been seen, here.
  std::function<bool()> sees_rank = [] { return false; };
  /// Whether the run's folder shows that ranks work.
  std::function<bool()> sees_work = [] { return false; };
  /// Whether it shows that they have come to their end.
  std::function<bool()> sees_end = [] { return false; };
};

/// Returns when `launcher` has ended and all it said is in `output`. REQUIRES: the launcher's standard error is a pipe.
///
/// Ranks get a request as SIGUSR1 or SIGUSR2, the only signals that mpirun passes on as they are: at SIGTERM and SIGINT
/// it gives them no time to save. After a second SIGINT the launcher gets SIGTERM, and SIGKILL three seconds later; so
/// it does five seconds after a first request where no rank has joined, who could save something.
LauncherEnd WatchLauncher(ChildProcess& launcher, StopRequests& requests, LauncherOutput& output, const WatchEyes& eyes,
                          const WatchLimits& limits = {});

}  // namespace lockstep::launch

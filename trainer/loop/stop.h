// Being asked to stop before the end: by a signal, or because the job's time is running out.
//
// Signals: SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 all mean the same. Until the first step there is nothing to save, and a
// signal ends the process at once with exit code 75. From then on the loop looks at StopSignal() after every step and
// inside every evaluation, and ranks agree on the step to stop at; signals that come twice, or at some ranks only,
// change nothing. A second SIGINT, a second or more after the first, ends the process at once: what is on disk is whole
// at any moment.
#pragma once

#include <chrono>
#include <optional>

namespace lockstep::loop {

/// Installs the handlers. Once, before ranks are joined. `speaks`: this process says that it was stopped before the
/// first step.
void InstallStopSignals(bool speaks);
/// From now on signals are polled.
void PollStopSignals();
/// The signal that asked to stop; 0: none has.
int StopSignal();

/// When to stop so that a last checkpoint is durable before `end`. One rank that knows the end is enough: all follow
/// its control record.
class StopClock {
 public:
  using Clock = std::chrono::system_clock;

  explicit StopClock(std::optional<Clock::time_point> end) : end_(end) {}

  /// What a checkpoint took, from its copy until it was durable.
  void NoteSave(double seconds);
  void NoteStep(double seconds);
  /// Whether the time that is left is less than two saves and two steps, and what ending takes.
  bool Due(Clock::time_point now) const;

 private:
  std::optional<Clock::time_point> end_;
  double save_seconds_ = 0;
  double step_seconds_ = 0;  // the longest
};

}  // namespace lockstep::loop

// When to stop because the job's time is running out.
#pragma once

#include <chrono>
#include <optional>

namespace lockstep::run {

/// When to stop so that a last checkpoint is durable before `end`. One rank that knows the end is enough: all follow
/// its control record.
class StopClock {
 public:
  using Clock = std::chrono::steady_clock;  // the wall clock may be set meanwhile

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

}  // namespace lockstep::run

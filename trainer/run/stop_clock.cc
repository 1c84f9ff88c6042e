#include "trainer/run/stop_clock.h"

#include <algorithm>

namespace lockstep::run {

void StopClock::NoteSave(double seconds) { save_seconds_ = seconds; }

void StopClock::NoteStep(double seconds) { step_seconds_ = std::max(step_seconds_, seconds); }

bool StopClock::Due(Clock::time_point now) const {
  if (!end_) return false;
  const double left = std::chrono::duration<double>(*end_ - now).count();
  constexpr double kEndingSeconds = 2;  // of ranks and launcher, after the save
  return left < 2 * save_seconds_ + 2 * step_seconds_ + kEndingSeconds;
}

}  // namespace lockstep::run

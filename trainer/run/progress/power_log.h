// Watts and joules per sample between logged steps, from the counters of all ranks.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/machine/energy_meter.h"
#include "trainer/run/progress/reporter.h"
#include "trainer/step/place.h"

namespace lockstep::run {

/// The meter of what this rank computes on: its GPU's, or, on the first rank of a host, the processors'. Null where
/// there is none.
std::unique_ptr<EnergyMeter> MakeMeter(const step::Place& place);

/// What a rank's record says of its meter: 0 where another rank's meter shows the same hardware, < 0 where there is
/// none.
double ReadMeter(const step::Place& place, EnergyMeter* meter);

/// Differences between rows.
class PowerLog {
 public:
  using Clock = std::chrono::steady_clock;

  /// At a logged step, `samples` of the whole run so far: what was used since the last one; nothing at the first, or
  /// where a counter was missing or went back.
  std::optional<PowerUse> Take(std::optional<double> joules, uint64_t samples, Clock::time_point now);

 private:
  std::optional<double> joules_;
  uint64_t samples_ = 0;
  Clock::time_point time_;
};

}  // namespace lockstep::run

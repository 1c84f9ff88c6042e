#include "trainer/run/progress/power_log.h"

#include <utility>

#include "base/machine/nvml_meter.h"
#include "base/machine/rapl_meter.h"

namespace lockstep::run {

std::unique_ptr<EnergyMeter> MakeMeter(const step::Place& place) {
  if (place.device) return MakeNvmlMeter(place.device->device->info().uuid);
  return place.comm->topology().local_rank() == 0 ? MakeRaplMeter() : nullptr;
}

double ReadMeter(const step::Place& place, EnergyMeter* meter) {
  const bool elsewhere = !place.device && place.comm->topology().local_rank() > 0;
  if (elsewhere) return 0;
  return meter == nullptr ? -1 : meter->Joules().value_or(-1);
}

std::optional<PowerUse> PowerLog::Take(std::optional<double> joules, uint64_t samples, Clock::time_point now) {
  const std::optional<double> before = std::exchange(joules_, joules);
  const uint64_t trained = samples - std::exchange(samples_, samples);
  const double seconds = std::chrono::duration<double>(now - std::exchange(time_, now)).count();
  if (!before || !joules || *joules < *before || trained == 0 || seconds <= 0) return std::nullopt;
  const double used = *joules - *before;
  return PowerUse{used / seconds, used / static_cast<double>(trained)};
}

}  // namespace lockstep::run

#include "trainer/run/power_log.h"

#include <utility>

#include "trainer/step/device_kit.h"

namespace lockstep::run {

std::unique_ptr<EnergyMeter> MakeMeter(const plan::Job& job) {
  if (job.device) return MakeNvmlMeter(job.device->device->info().uuid);
  return job.comm->topology().local_rank() == 0 ? MakeRaplMeter() : nullptr;
}

double ReadMeter(const plan::Job& job, EnergyMeter* meter) {
  const bool elsewhere = !job.device && job.comm->topology().local_rank() > 0;
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

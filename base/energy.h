// Joules that hardware says it has used: a counter that only its differences mean something of. Nothing is estimated:
// where the hardware does not say, there is no meter.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace lockstep {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  /// Joules since some moment before the meter was made; ascending. Nothing where the hardware stopped to answer.
  virtual std::optional<double> Joules() = 0;
};

/// All processor packages of this machine, by RAPL (Linux: Documentation/power/powercap). Null where the counters can't
/// be read: they are root's alone on most machines, and virtual machines have none.
std::unique_ptr<EnergyMeter> MakeRaplMeter(const std::string& folder = "/sys/class/powercap");

/// The GPU "GPU-...", by NVML (libnvidia-ml.so.1 of its driver, loaded here). Null where library or GPU don't answer;
/// parts of a GPU (MIG) don't.
std::unique_ptr<EnergyMeter> MakeNvmlMeter(const std::string& uuid, const std::string& library = "libnvidia-ml.so.1");

}  // namespace lockstep

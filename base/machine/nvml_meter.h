// The energy of a GPU.
#pragma once

#include <memory>
#include <string>

#include "base/machine/energy_meter.h"

namespace lockstep {

/// The GPU "GPU-...", by NVML (libnvidia-ml.so.1 of its driver, loaded here). Null where library or GPU don't answer;
/// parts of a GPU (MIG) don't.
std::unique_ptr<EnergyMeter> MakeNvmlMeter(const std::string& uuid, const std::string& library = "libnvidia-ml.so.1");

}  // namespace lockstep

// The energy of this machine's processors.
#pragma once

#include <memory>
#include <string>

#include "base/machine/energy_meter.h"

namespace lockstep {

/// All processor packages of this machine, by RAPL (Linux: Documentation/power/powercap). Null where the counters can't
/// be read: they are root's alone on most machines, and virtual machines have none.
std::unique_ptr<EnergyMeter> MakeRaplMeter(const std::string& folder = "/sys/class/powercap");

}  // namespace lockstep

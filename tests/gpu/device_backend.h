// A device's backend behind the interface that the conformance test drives, whose operands lie in memory of the host:
// each run of a kernel copies its operands up, guards included, runs it, and copies everything down again, so that what
// a kernel writes where it may not comes down too.
#pragma once

#include <memory>

#include "trainer/engine/backend.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::gpu {

enum class Execution {
  kEager,
  kCaptured,  ///< the kernel is captured after its first run, and every further run is one of the captured work
};

/// `kit` outlives it. REQUIRES: every operand lies in a conformance::GuardedBuffer.
std::unique_ptr<engine::Backend> MakeDeviceBackend(step::DeviceKit& kit, Execution execution);

}  // namespace lockstep::gpu

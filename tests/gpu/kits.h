// The devices that the programs of this folder try: that of the library with the GPU backend (the one beside the
// program, or $LOCKSTEP_CUDA_LIBRARY), as `lockstep` itself loads it, and the emulated one to compare with.
#pragma once

#include <memory>
#include <string>

#include "trainer/step/device/device_kit.h"

namespace lockstep::gpu {

/// What ctest takes for "skipped".
inline constexpr int kSkipped = 77;

/// "" where there is a device, else what is missing.
std::string WhyNoDevice();
/// "NVIDIA H100 80GB HBM3, 132 processors, 79.2 GiB, CUDA 13.0, ...".
std::string Describe();

/// The first device, opened at the first call and kept to the program's end. REQUIRES: WhyNoDevice() is empty.
step::DeviceKit& Kit(bool tf32 = false);
/// A new emulated device, from the library beside the program or $LOCKSTEP_EMULATED_LIBRARY. Throws Error(kUsage) where
/// it can't be loaded.
std::unique_ptr<step::DeviceKit> OpenEmulatedKit();

}  // namespace lockstep::gpu

// What the library with the GPU backend offers the program that loads it (gpu.h). Both are of one build, which is
// checked, so plain C++ passes between them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/device.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::launch {

struct CudaModule {
  /// Of the build that the library is from.
  std::string build_hash;
  /// "CUDA 13.0, cuBLASLt 13.1.0, cuDNN 9.19.0, NCCL 2.28.9".
  std::string versions;
  /// The devices that this process sees, none of them taken into use. Throws Error(kUsage) where the driver is missing
  /// or too old.
  std::vector<DeviceInfo> (*list)() = nullptr;
  /// Takes a device into use. `tf32`: float matrices may be multiplied as TF32.
  std::unique_ptr<step::DeviceKit> (*open)(int ordinal, bool tf32) = nullptr;
  /// A kit that compiles programs but can't prepare kernels, for a device of `memory` bytes that is not here.
  std::unique_ptr<step::DeviceKit> (*plan)(size_t memory) = nullptr;
};

/// The name and type of the library's one function.
inline constexpr char kCudaModuleEntry[] = "LockstepCudaModule";
using CudaModuleEntry = const CudaModule& (*)();

}  // namespace lockstep::launch

// GPUs through the CUDA runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <vector>

#include "base/device.h"

namespace lockstep {

/// Of the runtime that this build has in it: "CUDA 13.0".
std::string CudaVersion();

/// The devices that this process sees (CUDA_VISIBLE_DEVICES, the job's cgroup), without taking any into use; empty
/// where the driver has none. Throws Error(kUsage) where there is no driver, or one too old.
std::vector<DeviceInfo> ListCudaDevices();

/// Takes a device into use. Throws Error(kUsage) where it can't be.
std::unique_ptr<Device> OpenCudaDevice(int ordinal);

/// REQUIRES: `stream` is one of a CUDA device.
cudaStream_t NativeStream(DeviceStream& stream);

}  // namespace lockstep

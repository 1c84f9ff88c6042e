// What a rank's device is made of, put together: shared by the libraries that have one (cuda_module.h).
#pragma once

#include <cstddef>
#include <memory>

#include "base/device.h"
#include "trainer/kernels/cuda/dense/dense_library.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::launch {

/// Backend and gradient kernels on `device`, with products and convolutions by `library`.
std::unique_ptr<step::DeviceKit> AssembleKit(std::unique_ptr<Device> device,
                                             std::shared_ptr<cuda::DenseLibrary> library);

/// For a device of `memory` bytes that is not here: programs can be compiled, and none prepared.
std::unique_ptr<step::DeviceKit> PlanningKit(size_t memory);

}  // namespace lockstep::launch
